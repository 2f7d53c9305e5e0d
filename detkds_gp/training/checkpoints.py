"""Hooks of the Runner: checkpoints are the student's, ``student.pth`` is written, losses are of the whole batch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_reduce_dict
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from detkds_gp.detectors import save_weights
from detkds_gp.training.distilled_detector import DistilledDetector

STUDENT, TEACHER = "student.", "teacher."
DISTILLATION = "distillation"
"""Key of a training checkpoint: adapters and learned primitives, by name."""
AVERAGE, AVERAGED = "ema_state_dict", "module."
"""Key of mmengine's ``EMAHook`` in a training checkpoint, and how it begins the names of weights."""
STUDENT_FILE = "student.pth"
"""Name of the file that holds the trained student alone."""
SECONDS = "seconds"
"""Key of what a training took so far, of all sessions, in mmengine's message hub."""

Checkpoint = dict[str, Any]


@HOOKS.register_module()
class WriteStudent(Hook):
    """Makes a checkpoint's ``state_dict`` the student's, under plain mmdet's names, and writes `STUDENT_FILE`.

    What is trained beside the student goes under `DISTILLATION`; the teacher is not written. The window of logged
    losses, which are no plain types, is left out, so that torch reads the file with ``weights_only``. Comes after all
    hooks that change weights for saving: of a student with mmengine's ``EMAHook`` both files hold the average, as
    mmdet's own checkpoints do, and `AVERAGE` what the training goes on with. Counts `SECONDS`, too.
    """

    priority = "LOWEST"

    def before_train(self, runner: Runner) -> None:
        """Go on counting where the loaded checkpoint stopped."""
        self._since = time.monotonic() - runner.message_hub.get_info(SECONDS, 0.0)

    def after_train(self, runner: Runner) -> None:
        """Tell what the whole training took."""
        runner.message_hub.update_info(SECONDS, time.monotonic() - self._since)

    def before_save_checkpoint(self, runner: Runner, checkpoint: Checkpoint) -> None:
        """Take the checkpoint apart, and write the student."""
        state = checkpoint["state_dict"]
        own = {key.removeprefix(STUDENT): value for key, value in state.items() if key.startswith(STUDENT)}
        beside = {key: value for key, value in state.items() if not key.startswith((STUDENT, TEACHER))}
        checkpoint["state_dict"] = own
        checkpoint[DISTILLATION] = beside
        if AVERAGE in checkpoint:
            average = checkpoint[AVERAGE].items()
            checkpoint[AVERAGE] = {key: value for key, value in average if not key.startswith(AVERAGED + TEACHER)}
        hub = checkpoint["message_hub"]
        told = {**_plain(hub["runtime_info"]), SECONDS: time.monotonic() - self._since}
        hub.update(log_scalars={}, runtime_info=told)
        classes = runner.train_dataloader.dataset.metainfo["classes"]
        save_weights(own, Path(runner.work_dir) / STUDENT_FILE, classes)


@HOOKS.register_module()
class ReadStudent(Hook):
    """Gives a loaded checkpoint the names of a `DistilledDetector`: one of ours, or one of the student alone."""

    priority = "HIGHEST"

    def after_load_checkpoint(self, runner: Runner, checkpoint: Checkpoint) -> None:
        """Put student, what is trained beside it, and the teacher together."""
        if "state_dict" not in checkpoint:
            bare = dict(checkpoint)
            checkpoint.clear()
            checkpoint["state_dict"] = bare
        own = {STUDENT + key: value for key, value in checkpoint["state_dict"].items()}
        theirs = {key: value for key, value in detector_of(runner).state_dict().items() if key.startswith(TEACHER)}
        checkpoint["state_dict"] = own | checkpoint.get(DISTILLATION, {}) | theirs
        if AVERAGE in checkpoint:
            checkpoint[AVERAGE].update({AVERAGED + key: value for key, value in theirs.items()})


@HOOKS.register_module()
class AverageLosses(Hook):
    """Makes the losses that are logged those of the global batch: the mean over all processes, the same in each."""

    priority = "HIGHEST"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Replace a step's own losses before mmengine's hooks read them; every process must come here."""
        if outputs is not None:
            told = {name: value.detach().float() for name, value in outputs.items()}
            all_reduce_dict(told, op="mean")
            outputs.update(told)


def _plain(value: Any) -> Any:
    """Return numpy's numbers as Python's, in nested values."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value


def detector_of(runner: Runner) -> DistilledDetector:
    """Return the Runner's model without what distributes it.

    Raises:
        TypeError: if it is another model.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not isinstance(model, DistilledDetector):
        raise TypeError(f"got a {type(model).__name__}, wanted model = dict(type='DistilledDetector', ...)")
    return model
