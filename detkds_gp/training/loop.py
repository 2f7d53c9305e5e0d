"""The short training of the proxy and of a teacher that comes without a checkpoint, step by step."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from detkds_gp.detectors import BaseDetector, Outputs
from detkds_gp.training.distilled_detector import DistilledDetector
from detkds_gp.training.settings import OptimizerSettings

DIVERGED = 10.0
"""A student's own loss this many times its first one (or 1, if that was lower) has diverged."""

WARMUP = 9
"""After n steps the average keeps at most n / (n + WARMUP) of itself: it forgets the untrained weights first."""

Batch = tuple[dict[str, Any], Outputs | None]
"""What `make_batch` gives, and the teacher's outputs on it if they are kept."""


class TrainingFault(Exception):
    """A training that cannot go on.

    Attributes:
        failure: ``nonfinite`` or ``diverged``.
        detail: what happened, and at which iteration.
    """

    def __init__(self, failure: str, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail


def seed_all(seed: int, iteration: int = 0) -> None:
    """Seed Python's, numpy's and torch's global generators from (seed, iteration), and tell mmdet the iteration.

    Some detectors (TOOD, BoxInst, YOLOX) ask mmengine's message hub how far their training is. Here it is what a loop
    by iterations tells them, whose whole training is epoch 0.
    """
    hub = MessageHub.get_current_instance()
    hub.update_info("iter", iteration)
    hub.update_info("epoch", 0)
    mixed = random.Random(f"{seed}/{iteration}").getrandbits(32)
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - mmdet draws from the global generator
    torch.manual_seed(mixed)


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


class Training:
    """A training that advances step by step, can be put down and taken up again.

    A step depends on the weights, its batch, the seed and its number alone, so that trainings that take turns
    in one process, or that are continued in another, end with the weights of one that ran alone; bitwise on a CPU.

    Args:
        model: student, loss and adapters; trained in place.
        settings: optimizer and schedule.
        iterations: the length of the schedule.
        seed: seeds all global generators before each step.
        skipped: steps that the student has behind it; the generators count on from there.

    Attributes:
        model: as given.
        iteration: steps taken.
        iterations: the length of the schedule; one whose rate does not fall yet may still be shortened.
        losses: of every step taken here, the student's own loss and the distillation loss.
    """

    def __init__(
        self, model: DistilledDetector, settings: OptimizerSettings, iterations: int, seed: int, skipped: int = 0
    ) -> None:
        self.model = model
        self.iteration = 0
        self._settings = settings
        self.iterations = iterations
        self._seed = seed
        self._skipped = skipped
        self._first = 0.0
        self.losses: list[tuple[float, float]] = []
        clip = {"max_norm": settings.clip_norm} if settings.clip_norm else None
        self._wrapper = build_optim_wrapper(model, {"optimizer": dict(settings.optimizer), "clip_grad": clip})
        self._average = AveragedStudent(model.student, settings.average) if settings.average else None
        self._rates = [group["lr"] for group in self._wrapper.param_groups]
        self._device = next(model.parameters()).device.type

    @property
    def student(self) -> BaseDetector:
        """What the training is scored by: the averaged student; the trained one where nothing is averaged."""
        return self.model.student if self._average is None else self._average.module

    def step(self, batch: dict[str, Any], teacher: Outputs | None = None) -> None:
        """Take one step.

        Args:
            batch: as for `DistilledDetector.losses`; not changed.
            teacher: the teacher's outputs on it, if they are known.

        Raises:
            TrainingFault: the loss is not finite, or the student's own has exploded.
            KnowledgeError: if the distiller cannot be computed on the pair's knowledge.
        """
        self.model.train()
        seed_all(self._seed, self._skipped + self.iteration)
        factor = self._settings.learning_rate_factor(self.iteration, self.iterations)
        for group, rate in zip(self._wrapper.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        with torch.autocast(self._device, torch.bfloat16, enabled=self._settings.autocast == "bfloat16"):
            losses = self.model.losses(batch, teacher)
        total, values = self.model.parse_losses(losses)
        summed, task = _read(total, values)
        self._first = self._first or task
        _check(summed, task, self._first, self.iteration)
        self.losses.append((task, summed - task))
        self._wrapper.update_params(total)
        if self._average is not None:
            self._average.update_parameters(self.model.student)
        self.iteration += 1

    def check_weights(self) -> None:
        """Refuse weights, or an average, that the last step broke: such a detector finds nothing, silently.

        Raises:
            TrainingFault: ``nonfinite``.
        """
        scored = [] if self._average is None else self._average.named_parameters("average")
        for name, weight in chain(self.model.named_parameters(), scored):
            if not weight.isfinite().all():
                raise TrainingFault("nonfinite", f"{name} is not finite after iteration {self.iteration - 1}")

    def finish(self) -> None:
        """Give the model the weights that are scored; no step can follow.

        Raises:
            TrainingFault: ``nonfinite``, as `check_weights`.
        """
        self.check_weights()
        self.model.student.load_state_dict(self.student.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return what continues the training: weights without the teacher's, their average, optimizer, progress."""
        weights = {name: x for name, x in self.model.state_dict().items() if not name.startswith("teacher.")}
        return {
            "model": weights,
            "average": None if self._average is None else self._average.state_dict(),
            "optimizer": self._wrapper.state_dict(),
            "iteration": self.iteration,
            "first": self._first,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken of a training of the same arguments.

        Raises:
            RuntimeError: it is another model's.
        """
        missing, unexpected = self.model.load_state_dict(state["model"], strict=False)
        lost = [name for name in missing if not name.startswith("teacher.")] + list(unexpected)
        if lost:
            raise RuntimeError(f"got the state of another model: {lost[0]!r} does not fit")
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._wrapper.load_state_dict(state["optimizer"])
        self.iteration, self._first = state["iteration"], state["first"]


def train(
    model: DistilledDetector, batches: Iterable[Batch], settings: OptimizerSettings, iterations: int, seed: int
) -> None:
    """Train a model in place from its beginning, and give it the weights that are scored: a whole `Training`.

    No more than ``iterations`` batches are drawn.

    Raises:
        TrainingFault: ``nonfinite`` or ``diverged``, at the iteration it shows.
        KnowledgeError: if the distiller cannot be computed on the pair's knowledge.
        ValueError: if there are fewer batches.
    """
    training = Training(model, settings, iterations, seed)
    for batch, teacher in islice(batches, iterations):
        training.step(batch, teacher)
    if training.iteration < iterations:
        raise ValueError(f"got {training.iteration} batches, wanted {iterations}")
    training.finish()


def _read(total: Tensor, values: Mapping[str, Tensor]) -> tuple[float, float]:
    """Return the loss and the student's own part of it; a GPU is waited for once."""
    own = [value for name, value in values.items() if "loss" in name and name != "loss" and "distill" not in name]
    loss, *parts = torch.stack([total.detach(), *own]).tolist()
    return loss, sum(parts)


def _check(total: float, task: float, first: float, iteration: int) -> None:
    if not math.isfinite(total):
        raise TrainingFault("nonfinite", f"loss became {total} at iteration {iteration}")
    if task > DIVERGED * max(first, 1.0):
        rise = f"the student's own loss rose from {first:.3g} to {task:.3g}"
        raise TrainingFault("diverged", f"{rise} at iteration {iteration}")
