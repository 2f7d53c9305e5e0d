"""The config of an experiment: a Python file read by mmengine, checked against a schema.

primitive_set = "detkds_gp.primitives:DETKDS"
student = dict(config="mmdet::retinanet/retinanet_r18_fpn_1x_coco.py")
teacher = dict(config="mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", checkpoint="teacher.pth")
data = dict(train=dict(ann_file="train.json", images="images"), selection=..., test=...)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config
from pydantic import Field, ValidationError, field_validator, model_validator

from detkds_gp.detectors import DetectorSpec
from detkds_gp.errors import ConfigError, nearest
from detkds_gp.fitness import ProxySettings, ScreeningSettings, TeacherTraining
from detkds_gp.search import SearchSettings
from detkds_gp.settings import Settings
from detkds_gp.training import FullTrainingSettings


class DetectorSettings(Settings):
    """A detector.

    Attributes:
        config: path of an mmdet config, or ``mmdet::retinanet/...``.
        overrides: dotted keys merged into it, such as ``{"model.backbone.depth": 18}``.
        checkpoint: its weights.
    """

    config: str
    overrides: dict[str, Any] = Field(default_factory=dict)
    checkpoint: str | None = None

    def spec(self) -> DetectorSpec:
        """Return what builds the detector."""
        return DetectorSpec(self.config, self.overrides, self.checkpoint)


class TeacherSettings(DetectorSettings):
    """The teacher: with a checkpoint, or trained once by the tool.

    Attributes:
        classes: names in the order of its labels, where its checkpoint does not name them and they are not the
            data's. Classes are matched by name.
        train: how a teacher without a checkpoint is trained.
    """

    classes: tuple[str, ...] | None = None
    train: TeacherTraining = TeacherTraining()

    @model_validator(mode="after")
    def _named(self) -> TeacherSettings:
        if self.classes is not None and self.checkpoint is None:
            raise ValueError(
                "teacher.classes is given without teacher.checkpoint; a teacher trained here has the data's"
            )
        return self


class SplitSettings(Settings):
    """A split in COCO format.

    Attributes:
        ann_file: its annotations.
        images: the folder that the file's image names start from.
        part: from which to which share of its images is taken, always the same ones (see `detkds_gp.data.part`).
    """

    ann_file: str
    images: str
    part: tuple[float, float] = (0.0, 1.0)

    @field_validator("part")
    @classmethod
    def _a_part(cls, part: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= part[0] < part[1] <= 1:
            raise ValueError(f"got the part {part}, wanted two shares of the images, 0 <= low < high <= 1")
        return part


class DigitsSettings(Settings):
    """Digit scenes, generated where they are missing (see `detkds_gp.data.digits`)."""

    root: str
    train: int = 240
    selection: int = 100
    test: int = 150
    size: int = 128
    digits: tuple[int, ...] = tuple(range(10))
    seed: int = 0


class DataSettings(Settings):
    """The three splits: to train, to select (the fitness), and to report.

    Attributes:
        root: folder that the splits' relative paths start from.
        train: what students learn from.
        selection: what the search maximises AP on.
        test: only reported; never seen by the search.
        classes: names in the order of the labels; None takes the training file's.
        digits: generate digit scenes; the splits are then theirs.
    """

    root: str = ""
    train: SplitSettings | None = None
    selection: SplitSettings | None = None
    test: SplitSettings | None = None
    classes: tuple[str, ...] | None = None
    digits: DigitsSettings | None = None

    @model_validator(mode="after")
    def _complete(self) -> DataSettings:
        missing = [name for name in ("train", "selection", "test") if getattr(self, name) is None]
        if self.digits is None and missing:
            raise ValueError(f"data.{missing[0]} is missing, wanted dict(ann_file=..., images=...)")
        return self

    def splits(self) -> dict[str, SplitSettings]:
        """Return the three splits by name, with their paths from the working directory."""
        root, given = Path(self.root), {name: getattr(self, name) for name in ("train", "selection", "test")}
        if self.digits is not None:
            root = Path(self.digits.root)
            given = {name: SplitSettings(ann_file=f"{name}.json", images="images") for name in given}
        return {
            name: split.model_copy(update={"ann_file": str(root / split.ann_file), "images": str(root / split.images)})
            for name, split in given.items()
        }


class VerdictSettings(Settings):
    """The final round, as it is wished for: `detkds_gp.experiment.results.final_round` fits it into its share.

    Attributes:
        seeds: seeds that the search never used; everyone judged is trained on each.
        iterations: training steps; None takes twice the proxy's.
        finalists: the best formulas of the search that are judged, besides the best of every knowledge.
        rivals: what is judged beside them, by the name it is shown under: a distiller of the zoo, or a formula;
            those that the pair or the primitive set does not know are left out.
        share: the most of all training that the final round may take.
    """

    seeds: tuple[int, ...] = (1001, 1002, 1003, 1004)
    iterations: int | None = Field(None, ge=1)
    finalists: int = Field(2, ge=1)
    rivals: dict[str, str] = Field(
        default_factory=lambda: {
            "mimic": "mimic",
            "PKD": "pkd",
            "CWD": "cwd",
            "logits": "binary_kl(units(class_logits, 1))",
        }
    )
    share: float = Field(0.4, gt=0, lt=1)

    @model_validator(mode="after")
    def _enough(self) -> VerdictSettings:
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"verdict.seeds are {list(self.seeds)}, wanted 2 or more, all different, for an interval")
        return self


class ExecutionSettings(Settings):
    """Where candidates are trained; none of it changes a result.

    Attributes:
        executor: ``local`` worker processes, ``serial``: in this process, without time limits, or ``ray``.
        workers: worker processes.
        gpus_per_worker: GPUs, or the share of one, that each worker takes; 0 leaves all visible to all.
        address: of a running Ray cluster; None takes RAY_ADDRESS, else starts an instance on this machine.
        pack: candidates that a worker trains side by side on one pass of data; None: as many as fit into the free
            memory where they share the teacher's forward pass or the decoding of images, else one.
        time_limit_seconds: for one candidate.
        grace_seconds: in which candidates at work may finish when the run is asked to stop.
    """

    executor: Literal["local", "serial", "ray"] = "local"
    workers: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 2), ge=1)
    gpus_per_worker: float = Field(0.0, ge=0)
    address: str | None = None
    pack: int | None = Field(None, ge=1)
    time_limit_seconds: float = Field(600.0, gt=0)
    grace_seconds: float = Field(60.0, ge=0)

    @model_validator(mode="after")
    def _shares(self) -> ExecutionSettings:
        if self.executor == "local" and self.gpus_per_worker > 1:
            raise ValueError(f"execution.gpus_per_worker is {self.gpus_per_worker:g}, wanted at most 1 for 'local'")
        return self


class ExperimentConfig(Settings):
    """Everything an experiment depends on.

    Attributes:
        primitive_set: ``module:NAME`` of the grammar.
        zoo: ``module:NAME`` of the published distillers.
        knowledge: niches to search; None takes all that the set has and the pair shares.
        student: what is trained.
        teacher: what it learns from.
        data: the splits.
        proxy: the short training that scores a candidate.
        screening: what is asked of a formula before it is trained.
        search: the evolution.
        verdict: the final comparison.
        full_training: what ``gp_search train`` changes of the student's own config.
        baseline_seeds: students without distillation that show the noise on the selection split; the first is
            the seed of the search's trainings.
        execution: where it runs.
        budget: what it may spend: ``200`` evaluations, ``8h``, ``12gpuh``; None for all that is planned.
        threads: CPU threads of every training; another count changes the last digits.
        seed: of the search.
        cache_dir: where a trained teacher is kept.
        init_student_from_teacher: students start with the teacher's neck and head where shapes agree.
        require_better_teacher: stop if the teacher's AP is not above the student's.
    """

    primitive_set: str = "detkds_gp.primitives:DETKDS"
    zoo: str = "detkds_gp.primitives.zoo:ZOO"
    knowledge: tuple[str, ...] | None = None
    student: DetectorSettings
    teacher: TeacherSettings
    data: DataSettings
    proxy: ProxySettings = ProxySettings()
    screening: ScreeningSettings = ScreeningSettings()
    search: SearchSettings = SearchSettings()
    verdict: VerdictSettings = VerdictSettings()
    full_training: FullTrainingSettings = FullTrainingSettings()
    baseline_seeds: tuple[int, ...] = Field((0, 1, 2), min_length=3)
    execution: ExecutionSettings = Field(default_factory=ExecutionSettings)
    budget: str | None = None
    threads: int = Field(1, ge=1)
    seed: int = 0
    cache_dir: str = "work_dirs/cache"
    init_student_from_teacher: bool = False
    require_better_teacher: bool = True

    @model_validator(mode="after")
    def _seeds_apart(self) -> ExperimentConfig:
        if len(set(self.baseline_seeds)) < len(self.baseline_seeds):
            raise ValueError(f"baseline_seeds are {list(self.baseline_seeds)}, wanted all different")
        shared = sorted(set(self.baseline_seeds) & set(self.verdict.seeds))
        if shared:
            raise ValueError(
                f"verdict.seeds and baseline_seeds share {shared[0]}; the verdict's seeds are for it alone"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """Return what a work directory is bound to, in JSON values: what changes a result.

        Where it runs and where files lie does not; the files themselves are compared by their content.
        """
        elsewhere = {"execution", "budget", "cache_dir", "require_better_teacher", "data", "full_training"}
        parts: dict[str, Any] = {
            "student": {"checkpoint"},
            "teacher": {"checkpoint"},
            "proxy": {"memory_limit_mb", "teacher_memory_mb"},
        }
        return self.model_dump(mode="json", exclude=parts | dict.fromkeys(elsewhere, True))


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> ExperimentConfig:
    """Read a config file.

    Args:
        path: a Python, json or yaml file.
        options: dotted keys that replace its values, as ``--cfg-options`` gives them.

    Raises:
        ConfigError: if the file is missing or broken, a key unknown or a value of the wrong type.
    """
    if not Path(path).is_file():
        shipped = Path(__file__).parents[2] / "configs"
        raise ConfigError(
            f"no config file {path}; give a path such as configs/quickstart.py (shipped ones are in {shipped})"
        )
    try:
        config = Config.fromfile(path)
        config.merge_from_dict(dict(options or {}))
        values = config.to_dict()
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ConfigError(f"cannot read {path}: {type(error).__name__}: {lines[-1] if lines else ''}") from error
    return parse_config(values, str(path))


def parse_config(values: Mapping[str, Any], where: str = "config") -> ExperimentConfig:
    """Check plain values against the schema.

    Raises:
        ConfigError: naming the first offending key, what is wrong and what is known.
    """
    try:
        return ExperimentConfig.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_in_words(error)}") from None


def _in_words(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "the config"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(path[-1], _known_keys(path[:-1]))}"
    if first["type"] == "missing":
        return f"key {key!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return message if first["type"] == "value_error" else f"{key} is {first['input']!r:.80}: {message}"


def _known_keys(path: list[str]) -> list[str]:
    model: type[Settings] = ExperimentConfig
    for part in path:
        annotation = model.model_fields[part].annotation
        choices = (annotation, *getattr(annotation, "__args__", ()))
        model = next(a for a in choices if isinstance(a, type) and issubclass(a, Settings))
    return list(model.model_fields)
