"""Hooks of the Runner: whose the checkpoints are, which losses are logged, when a training ends or switches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import all_reduce_dict
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from detkds_gp.detectors import save_weights
from detkds_gp.errors import ConfigError
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

SCALER_PATIENCE = 20
"""Steps in a row that mixed precision may pass over: as many halvings take any scale of a loss below 1."""
SWITCHES: dict[str, Callable[[Mapping[str, Any], int], int]] = {
    "PipelineSwitchHook": lambda hook, epochs: hook["switch_epoch"],
    "YOLOXModeSwitchHook": lambda hook, epochs: epochs - hook.get("num_last_epochs", 15),
}
"""By mmdet's hooks that change data and loss in the last epochs: from (config, epochs of the schedule) to the epoch."""

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


@HOOKS.register_module()
class StopNonfinite(Hook):
    """Ends a training whose loss is no finite number, or whose weights are none where a checkpoint is due.

    Comes after `AverageLosses`, so that every process sees the same loss and ends at the same step, and before
    whatever writes a checkpoint. A scaler of mixed precision passes over a step that overflows: that is no end before
    `SCALER_PATIENCE` of them in a row.
    """

    priority = "HIGH"

    def __init__(self) -> None:
        self._in_a_row = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Look at a step's loss; raise a ConfigError if the training diverges."""
        if outputs is None or math.isfinite(float(outputs["loss"])):
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row >= (SCALER_PATIENCE if isinstance(runner.optim_wrapper, AmpOptimWrapper) else 1):
            names = [name for name, value in outputs.items() if not math.isfinite(float(value))]
            raise _diverged(f"{', '.join(names)} became {float(outputs['loss'])}", runner.iter + 1, runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Look at the weights: of a last step, no loss tells what it made of them.

        If they are not finite, a ConfigError is raised and nothing is written.
        """
        for name, value in checkpoint["state_dict"].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise _diverged(f"{name} is no longer finite", checkpoint["meta"]["iter"], runner)


@HOOKS.register_module()
class SwitchAtIteration(Hook):
    """Lets a hook of `SWITCHES` switch at an iteration; the loader then begins anew with what it changed.

    ``hook`` is its config, whose epoch counts no more.
    """

    def __init__(self, hook: dict[str, Any], iteration: int) -> None:
        at_once = {"switch_epoch": 0} if "switch_epoch" in hook else {}
        self._hook = HOOKS.build({**hook, **at_once})
        self._iteration = iteration
        self._switched = False
        self._drawn: Any = None

    def before_train(self, runner: Runner) -> None:
        """Switch at once where a training goes on behind its iteration."""
        self._switch(runner, runner.iter)

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Switch where the next step is the first one behind the iteration."""
        self._switch(runner, runner.iter + 1)

    def _switch(self, runner: Runner, steps: int) -> None:
        if self._switched or steps < self._iteration:
            return
        self._switched = True
        loop = runner.train_loop
        self._drawn = loop.dataloader_iterator._iterator._sampler_iter  # thrown away, it would close an endless sampler
        self._hook.before_train_epoch(runner)
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)
        self._hook.before_train_epoch(runner)  # mmdet's hooks close here what they opened to restart the workers


def switch_at_iterations(config: Config, epochs: int, iterations: int) -> None:
    """Let the hooks of `SWITCHES` switch at the same share of the iterations as of the epochs that their config has."""
    config.custom_hooks = [_at_iteration(dict(hook), epochs, iterations) for hook in config.get("custom_hooks") or []]


def _at_iteration(hook: dict[str, Any], epochs: int, iterations: int) -> dict[str, Any]:
    epoch = SWITCHES.get(str(hook.get("type")).rpartition(".")[2])
    if epoch is None:
        return hook
    priority = {"priority": hook.pop("priority")} if "priority" in hook else {}
    at = round(iterations * max(0, epoch(hook, epochs)) / epochs)
    return {"type": "SwitchAtIteration", "hook": hook, "iteration": at, **priority}


def _plain(value: Any) -> Any:
    """Return numpy's numbers as Python's, in nested values."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value


def detector_of(runner: Runner) -> DistilledDetector:
    """Return the Runner's model without what distributes it; raise a TypeError if it is another model."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not isinstance(model, DistilledDetector):
        raise TypeError(f"got a {type(model).__name__}, wanted model = dict(type='DistilledDetector', ...)")
    return model


def _diverged(what: str, iteration: int, runner: Runner) -> ConfigError:
    return ConfigError(
        f"the training diverges: {what} at iteration {iteration} of {runner.max_iters}; the last checkpoint "
        "stays, and the same command goes on from it; or train with a lower optim_wrapper.optimizer.lr or with "
        "optim_wrapper.clip_grad in full_training.options, in another --work-dir"
    )
