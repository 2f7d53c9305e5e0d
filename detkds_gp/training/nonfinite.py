"""A hook of the Runner: a training that diverges ends, and is not scored as if it had learned nothing."""

from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from detkds_gp.errors import ConfigError

SCALER_PATIENCE = 20
"""Steps in a row that mixed precision may pass over: as many halvings take any scale of a loss below 1."""


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
        """Look at a step's loss.

        Raises:
            ConfigError: if the training diverges.
        """
        if outputs is None or math.isfinite(float(outputs["loss"])):
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row >= (SCALER_PATIENCE if isinstance(runner.optim_wrapper, AmpOptimWrapper) else 1):
            names = [name for name, value in outputs.items() if not math.isfinite(float(value))]
            raise _diverged(f"{', '.join(names)} became {float(outputs['loss'])}", runner.iter + 1, runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Look at the weights: of a last step, no loss tells what it made of them.

        Raises:
            ConfigError: if they are not finite; nothing is written then.
        """
        for name, value in checkpoint["state_dict"].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise _diverged(f"{name} is no longer finite", checkpoint["meta"]["iter"], runner)


def _diverged(what: str, iteration: int, runner: Runner) -> ConfigError:
    return ConfigError(
        f"the training diverges: {what} at iteration {iteration} of {runner.max_iters}; the last checkpoint "
        "stays, and the same command goes on from it; or train with a lower optim_wrapper.optimizer.lr or with "
        "optim_wrapper.clip_grad in full_training.options, in another --work-dir"
    )
