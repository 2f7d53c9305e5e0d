"""From the config of a search to the mmdet config of a full training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from detkds_gp.config import ExperimentConfig
from detkds_gp.data.coco import load_split
from detkds_gp.data.header_reader import HeaderReader
from detkds_gp.data.split import CocoSplit, write_normal
from detkds_gp.data.summary import summarize
from detkds_gp.detectors import build_detector, detector_config, inherit, save_weights
from detkds_gp.errors import ConfigError, DetectorError
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.calibration import measure_scale, write_probe, write_start
from detkds_gp.fitness.teacher import train_teacher
from detkds_gp.full_training.folder import write
from detkds_gp.language import Distiller, load_zoo
from detkds_gp.listener import Listener
from detkds_gp.naming import check_applies
from detkds_gp.setup.fingerprints import hash_of
from detkds_gp.setup.prepare import Materials, gather, prepare
from detkds_gp.training import (
    FullTrainingSettings,
    Recipe,
    SplitFiles,
    TrainingFault,
    average_hook,
    left_out,
    seed_all,
    training_config,
)

if TYPE_CHECKING:
    from detkds_gp.full_training.training import FullTraining

PREPARATION = "preparation"
ANNOTATIONS = "annotations"
SCALES_FILE = "scales.json"
MEASURED_ON = ("student", "teacher", "proxy", "init_student_from_teacher", "baseline_seeds")
"""The keys of the search's config that scales and initial students depend on."""


def prepared_configs(asked: FullTraining, listener: Listener) -> tuple[Config, Config, Distiller]:
    """Return the mmdet config of a full training, that of its student alone, and the distiller with all scales.

    Trains the teacher where it has no checkpoint, and measures the scales that the distiller leaves open: as the search
    does, on ``proxy.image_size``. What was prepared in the work directory before is read, not made again; for a
    finished training nothing is trained.

    Raises:
        UserError: a mistake in config, data, detectors or distiller, in one line.
    """
    wanted = {"primitive_set": asked.named.primitive_set, "knowledge": None}
    config, folder = asked.config.model_copy(update=wanted), asked.work_dir / PREPARATION
    materials = gather(config, listener=listener)
    if not asked.finished:
        for line in summarize(materials.splits).lines():
            listener.say(line)
    prepared = prepare(config, materials, folder / _measured_on(config, materials), listener)
    task = replace(prepared, teacher_outputs=None)
    distiller = asked.named.distiller
    check_applies(asked.named.name, distiller, materials.primitive_set, load_zoo(config.zoo), task.pair)
    if (distiller.terms or config.init_student_from_teacher) and not asked.finished:
        _train_teacher(task, listener)
    distiller = _calibrated(distiller, task, config, listener)
    classes = materials.splits["train"].classes
    student = detector_config(config.student.spec(), classes)  # the task's is what the proxy starts from
    splits = {**materials.splits, "train": _all_but_judged(config, materials.splits)}
    normal = Path(config.cache_dir) / ANNOTATIONS  # of all trainings
    files = {name: SplitFiles(write_normal(split, normal), split.image_dir.resolve()) for name, split in splits.items()}
    recipe = Recipe(
        model=_model(asked, task, student, distiller),
        classes=classes,
        splits=files,
        settings=_settings(config),
        seed=asked.seed,
        load_from=_initial(asked, task),
        metric=config.proxy.metric,
        amp=asked.amp,
    )
    whole = training_config(student, recipe)
    if distiller.terms:
        import_for(whole, detector_config(task.teacher, task.teacher_classes))
    listener.say(_trained_on(whole, splits["train"]))
    listener.say(_averaged(whole))
    alone = Config(whole.to_dict())
    alone.model = whole.model["student"]
    for key in ("custom_hooks", "custom_imports", "find_unused_parameters"):
        alone.pop(key, None)
    return whole, alone, distiller


def _measured_on(config: ExperimentConfig, materials: Materials) -> str:
    """Return the name of the folder of what is prepared: another one where it would come out differently."""
    whole = materials.fingerprint(config)
    identity = {key: whole["config"][key] for key in MEASURED_ON}
    return hash_of([identity, whole["detectors"], whole["checkpoints"], whole["data"]["train"]])


def _train_teacher(task: ProxyTask, listener: Listener) -> None:
    if Path(task.teacher.checkpoint or "").is_file():
        return
    listener.say(f"training the teacher, at most {task.teacher_training.iterations} iterations")
    try:
        train_teacher(task.teacher, ProxyTraining(task).images, task.teacher_training, task.settings.device)
    except (TrainingFault, FloatingPointError) as fault:
        raise DetectorError(f"the teacher fails to train: {fault}; lower teacher.train.optimizer.lr") from None


def _calibrated(distiller: Distiller, task: ProxyTask, config: ExperimentConfig, listener: Listener) -> Distiller:
    """Measure what a distiller leaves open, as the search does, each formula once; the scales are kept in a file."""
    path = task.files / SCALES_FILE
    scales: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    missing = [formula for formula in distiller.uncalibrated if formula not in scales]
    if missing:
        scales |= _measured(missing, task, config.baseline_seeds[0])
        write(path, json.dumps(scales, indent=2) + "\n")
    for formula in missing:
        listener.say(f"calibrated: {scales[formula]:g} * {formula}")
    return distiller.with_scales({formula: scales[formula] for formula in distiller.uncalibrated})


def _measured(formulas: Sequence[str], task: ProxyTask, seed: int) -> dict[str, float]:
    """Measure scales on the probe student, which is trained where its file is missing."""
    proxy, start = ProxyTraining(task), task.start(seed)
    task.files.mkdir(parents=True, exist_ok=True)
    if start is not None and not start.exists():
        write_start(proxy, seed)
    if not task.probe.exists():
        write_probe(proxy, seed)
    scales = {}
    for formula in formulas:
        scale = measure_scale(proxy, formula, seed)
        if scale.value is None:
            raise DetectorError(f"the scale of {formula} cannot be measured: {scale.failure} ({scale.detail})")
        scales[formula] = scale.value
    return scales


def _model(asked: FullTraining, task: ProxyTask, student: Config, distiller: Distiller) -> dict[str, Any]:
    """Return the config of the registered model."""
    alone = student.model.to_dict()
    if asked.config.student.checkpoint is not None or asked.config.init_student_from_teacher:
        alone = _undownloaded(alone | {"backbone": _undownloaded(alone["backbone"])})
    model = {"type": "DistilledDetector", "student": alone, "distiller": distiller.text}
    if not distiller.terms:
        return model
    teacher = detector_config(task.teacher, task.teacher_classes).model.to_dict()
    if "data_preprocessor" in teacher:  # both see maps of one size
        padding = alone.get("data_preprocessor", {}).get("pad_size_divisor", 1)
        teacher["data_preprocessor"]["pad_size_divisor"] = padding
    teacher["init_cfg"] = {"type": "Pretrained", "checkpoint": task.teacher.checkpoint}
    return model | {
        "teacher": teacher,
        "primitive_set": asked.named.primitive_set,
        "classes": task.splits["train"].classes,
        "teacher_classes": task.teacher_classes,
        "image_size": task.settings.image_size,
        "seed": asked.seed,
    }


def _undownloaded(part: dict[str, Any]) -> dict[str, Any]:
    """Return a model, or a part of one, that loads no pretrained weights: others follow."""
    init = part.get("init_cfg")
    pretrained = isinstance(init, dict) and str(init.get("type")).endswith("Pretrained")
    return {**part, "init_cfg": None} if pretrained else part


def import_for(whole: Config, teacher: Config) -> None:
    """Let a training import what its teacher's config imports."""
    wanted = (teacher.get("custom_imports") or {}).get("imports") or []
    wanted, known = [wanted] if isinstance(wanted, str) else wanted, whole.custom_imports.imports
    whole.custom_imports.imports = [*(name for name in wanted if name not in known), *known]


def _settings(config: ExperimentConfig) -> FullTrainingSettings:
    """Return the settings, with the image size of a teacher that the tool trained itself."""
    settings = config.full_training
    if settings.image_size is None and config.teacher.checkpoint is None:
        return settings.model_copy(update={"image_size": config.proxy.image_size})
    return settings


def _averaged(whole: Config) -> str:
    """Say which weights are scored and written."""
    hook = average_hook(whole)
    if hook is None:
        return "the weights of the last step are scored and written: nothing averages them"
    rule = hook.get("ema_type", "ExponentialMovingAverage")
    momentum = hook.get("momentum", "its default")
    return f"averaged weights are scored and written: {hook['type']}, {rule}, momentum {momentum}"


def _trained_on(whole: Config, train: CocoSplit) -> str:
    """Say how many images are trained on.

    Raises:
        ConfigError: the options leave none.
    """
    images = [(record.width, record.height, bool(record.annotations)) for record in train.images]
    left = left_out(whole, images)
    background = sum(not objects for _, _, objects in images)
    if not left:
        empty = f", {background:,} of them without an object" if background else ""
        return f"training on all {len(images):,} images{empty}"
    reasons, lacking = ", ".join(f"{count:,} by {key}" for key, count in left.items()), sum(left.values())
    told = f"filter_cfg in full_training.options leaves out {lacking:,} of {len(images):,} images ({reasons})"
    if lacking >= len(images):
        raise ConfigError(f"{told}: none is left to train on; take it out")
    return f"{told}; the search trains on all"


def _all_but_judged(config: ExperimentConfig, splits: dict[str, CocoSplit]) -> CocoSplit:
    """Return all images of the training file, whatever part the search takes, that no other split has."""
    train, headers = config.data.splits()["train"], HeaderReader(config.cache_dir)
    whole = load_split(train.ann_file, train.images, splits["train"].classes, headers=headers)
    judged = {file.place for name in ("selection", "test") for file in splits[name].files}
    kept = [(record, file) for record, file in zip(whole.images, whole.files, strict=True) if file.place not in judged]
    images, files = zip(*kept, strict=True)
    return replace(whole, images=images, files=files)


def _initial(asked: FullTraining, task: ProxyTask) -> str | None:
    """Return the file of the weights that the student starts with, where it does not start anew.

    It holds weights alone, also where the student's checkpoint is one of a training, with all that it logged.
    """
    spec = asked.config.student.spec()
    if spec.checkpoint is None and not asked.config.init_student_from_teacher:
        return None
    path, classes = task.files / f"initial-{asked.seed}.pth", task.splits["train"].classes
    if not path.is_file():
        seed_all(asked.seed)
        student = build_detector(spec, classes)
        if asked.config.init_student_from_teacher:
            inherit(student, build_detector(task.teacher, task.teacher_classes), task.pair)
        save_weights(student.state_dict(), path, classes)
    return str(path.resolve())
