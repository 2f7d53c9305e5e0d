"""Full training: mmengine's Runner on the student's own config, on one process or under torchrun."""

from __future__ import annotations

import gc
import itertools
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmdet.evaluation import CocoMetric
from mmdet.models.dense_heads import CenterNetHead
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dist import barrier, get_world_size, init_dist, is_distributed, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from detkds_gp.detectors import evaluating
from detkds_gp.errors import ConfigError, UserError
from detkds_gp.training import registered as registered  # what the configs of trainings name
from detkds_gp.training.found import KeepFound
from detkds_gp.training.hooks import SECONDS, detector_of

LAUNCHER = "pytorch"
LAUNCHED = "WORLD_SIZE"
"""What ``torchrun`` sets in the environment of its processes."""

PATIENCE = timedelta(days=7)
"""How long processes wait for what the first one prepares, such as a teacher."""

BUILD = "build_"
"""How the names of the Runner's methods begin that build a part of its config."""
MEND = "mend full_training.options or the student's config"

_NUMBERS = itertools.count()

Metrics = dict[str, float]
"""mmdet's metrics by name, such as ``coco/bbox_mAP``, in [0, 1]."""


@contextmanager
def processes() -> Iterator[bool]:
    """Bring the processes of a ``torchrun`` together, and part at the end; tell whether this one is the first.

    A GPU for each process where there are GPUs, else gloo on the CPU. Without a launcher there is one process; within
    another `processes` they are together already. Parting ends the threads of the group: one that still frees a tensor
    while the interpreter ends aborts the process.
    """
    if LAUNCHED not in os.environ or is_distributed():
        yield bool(is_main_process())
        return
    if torch.cuda.is_available():
        init_dist(LAUNCHER, backend="nccl")
    else:
        torch.distributed.init_process_group("gloo")
    try:
        yield bool(is_main_process())
    finally:
        gc.collect()  # a model that is done with holds the group
        torch.distributed.destroy_process_group()


def process_count() -> int:
    """Return how many processes train together."""
    return int(get_world_size())


def wait_for_all() -> None:
    """Wait until all processes are here."""
    barrier()


def first_does(work: Callable[[], None]) -> None:
    """Let the first process do something, however long it takes, while the others wait for its end.

    Raises:
        UserError: in every process, where the first one raises it.
        RuntimeError: in the others, where the first one raises anything else.
    """
    if not is_distributed():
        work()
        return
    # torch types a process outside of the group too; here all are in it.
    group: Any = torch.distributed.new_group(backend="gloo", timeout=PATIENCE)  # NCCL's kills who waits for long
    told: list[BaseException | None] = [None]
    try:
        if is_main_process():
            work()
    except BaseException as error:
        told = [error if isinstance(error, UserError) else RuntimeError(f"the first process failed: {error!r}")]
        raise
    finally:
        torch.distributed.broadcast_object_list(told, src=0, group=group)
    if told[0] is not None:
        raise told[0]


@contextmanager
def alone() -> Iterator[None]:
    """Let this process compute as if there were no others.

    The losses of most of mmdet's heads are divided by a mean over all processes, and wait for it: what one process
    trains while the others wait for it would never end.
    """
    known = torch.distributed.is_initialized
    torch.distributed.is_initialized = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_initialized = known


def trained(config: Config, work_dir: Path) -> Runner:
    """Train in ``work_dir``, going on from its last checkpoint if there is one.

    Returns:
        the Runner at its end.

    Raises:
        ConfigError: if a part of the config cannot be built or loaded, before anything is trained; or if the training
            diverges.
    """
    config = _placed(config, work_dir)
    begun = _Begun()
    try:
        if config.get("custom_imports"):  # in every process: a Runner leaves it to who reads the config
            import_modules_from_strings(**config.custom_imports)
        runner = Runner.from_cfg(config)
        runner.register_hook(begun)
        _ = runner.test_loop  # built now: the end of the training is too late to tell a mistake in it
        runner.train()
    except UserError:
        raise
    except Exception as error:
        if begun.yes:
            raise
        raise ConfigError(f"the training cannot be set up: {_where(error)}; {MEND}") from error
    return runner


def _where(error: Exception) -> str:
    """Say which part of the config the Runner was building, for what it says itself seldom names it."""
    steps = (step.name for step in traceback.extract_tb(error.__traceback__))
    part = next((f"{name.removeprefix(BUILD)}: " for name in steps if name.startswith(BUILD)), "")
    return f"{part}{type(error).__name__}: {' '.join(str(error).split())}"


class _Begun(Hook):
    """Knows whether the training has begun: what fails before is a mistake in its config."""

    yes = False

    def before_train(self, runner: Runner) -> None:
        self.yes = True


def _placed(config: Config, work_dir: Path) -> Config:
    """Return a config for this machine: where it is written, and which processes there are."""
    # Unformatted: yapf takes a second, and every checkpoint asks for the text.
    config = Config(config.to_dict(), format_python_code=False)
    config.work_dir = str(work_dir)
    config.launcher = LAUNCHER if LAUNCHED in os.environ else "none"
    if (work_dir / "last_checkpoint").is_file():
        config.resume, config.load_from = True, None
    if is_distributed() and not torch.cuda.is_available():
        config.model_wrapper_cfg = {
            "type": "MMDistributedDataParallel",
            "device_ids": None,
            "broadcast_buffers": False,
            "find_unused_parameters": config.get("find_unused_parameters", True),
        }
    # Loggers and visualizers are global by name: one for each training, not each process.
    config.experiment_name = f"{work_dir.resolve().name}_{os.getpid()}_{next(_NUMBERS)}"
    config.setdefault("visualizer", {"type": "DetLocalVisualizer"})["name"] = config.experiment_name
    return config


def spent_seconds(runner: Runner) -> float:
    """Return how long a training took at its end: all sessions, each up to its last checkpoint."""
    return float(runner.message_hub.get_info(SECONDS))


def score_student(runner: Runner) -> tuple[Metrics, list[dict[str, Any]]]:
    """Score the Runner's model on the test split, and return what it finds on a few images, from `KeepFound`."""
    kept = KeepFound(runner.test_loop.dataloader.dataset)
    runner.register_hook(kept)
    # not runner.test(): it calls the hooks' before_run, and EMAHook begins a new average there, of the last step alone
    return dict(runner.test_loop.run()), kept.images()


def score_teacher(runner: Runner) -> tuple[Metrics, list[dict[str, Any]]] | None:
    """Score the teacher on the test split as the Runner scores the student; None where there is no teacher.

    Objects of classes that the data do not have are passed over.
    """
    model = detector_of(runner)
    if model.teacher is None or model.pairing is None:
        return None
    loop = runner.test_loop
    names = loop.dataloader.dataset.metainfo["classes"]
    known = model.pairing.pair.classes[1] or names
    labels = torch.tensor([names.index(name) if name in names else -1 for name in known])
    kept = KeepFound(loop.dataloader.dataset)
    masks, places_itself = False, isinstance(getattr(model.teacher, "bbox_head", None), CenterNetHead)
    with evaluating(model.teacher):
        for batch in loop.dataloader:
            corners = [_completed(sample) for sample in batch["data_samples"]]
            samples = model.teacher.test_step(batch)
            for sample, corner in zip(samples, corners, strict=True):
                if not places_itself:
                    sample.pred_instances.bboxes -= sample.pred_instances.bboxes.new_tensor(corner * 2)
                found = sample.pred_instances
                found.labels = labels.to(found.labels.device)[found.labels]
                sample.pred_instances = found[found.labels >= 0]
            masks = masks or any("masks" in sample.pred_instances for sample in samples)
            kept.keep(samples)
            loop.evaluator.process(data_samples=samples, data_batch=batch)
        with nullcontext() if masks else _boxes_alone(loop.evaluator):
            return dict(loop.evaluator.evaluate(len(loop.dataloader.dataset))), kept.images()


@contextmanager
def _boxes_alone(evaluator: Evaluator) -> Iterator[None]:
    """Let an evaluator compare no masks: its detector finds none."""
    before = {metric: metric.metrics for metric in evaluator.metrics if isinstance(metric, CocoMetric)}
    for metric, compared in before.items():
        metric.metrics = [one for one in compared if one != "segm"]
    try:
        yield
    finally:
        for metric, compared in before.items():
            metric.metrics = compared


def _completed(sample: DetDataSample) -> tuple[float, float]:
    """Add what a pipeline made for another head leaves out: CenterNet's pads and tells no scale, others no border.

    Returns:
        (left, top) of the image in what was padded.
    """
    (height, width), known = sample.img_shape[:2], sample.metainfo
    missing = {"border": (0, height, 0, width), "scale_factor": (1.0, 1.0)}
    sample.set_metainfo({name: value for name, value in missing.items() if name not in known})
    return float(sample.border[2]), float(sample.border[0])
