"""The moving average of a student's weights, by which a short training is scored."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

WARMUP = 9
"""After n steps the average keeps at most n / (n + WARMUP) of itself: it forgets the untrained weights first."""


class AveragedStudent(AveragedModel):
    """Keeps the exponential moving average of a student's parameters and buffers; ``module`` predicts with it.

    The first update copies the student; the update after n others keeps ``min(decay, n / (n + WARMUP))`` of the
    average. Integer buffers are copied at every update. mmengine's ``MomentumAnnealingEMA`` with ``momentum = 1 -
    decay`` and ``gamma = WARMUP`` follows the same rule.

    Args:
        student: copied; its device is the average's.
        decay: in (0, 1).
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        super().__init__(student, use_buffers=True)
        self.requires_grad_(False)
        self._decay = decay

    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards the weights of a step."""
        count = int(self.n_averaged)  # on the CPU: a GPU is not waited for
        self.multi_avg_fn = partial(_move, 1 - min(self._decay, count / (count + WARMUP)))
        super().update_parameters(model)


@torch.no_grad()
def _move(share: float, averaged: list[Tensor], current: list[Tensor], _: Tensor) -> None:
    """Move tensors of one type in place by a share of the way."""
    if averaged[0].is_floating_point():
        torch._foreach_lerp_(averaged, current, share)
    else:
        torch._foreach_copy_(averaged, current)
