"""The short training loop of the proxy and of a teacher that comes without a checkpoint."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from pydantic import Field
from torch import Tensor

from detkds_gp.settings import Settings
from detkds_gp.training.distilled_detector import DistilledDetector, TeacherKnowledge

DIVERGED = 10.0

Batch = tuple[dict[str, Any], TeacherKnowledge | None]


class TrainingFault(Exception):
    """A training that cannot go on; ``failure`` is its name."""

    def __init__(self, failure: str, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail


class OptimizerSettings(Settings):
    """How the weights move.

    Attributes:
        optimizer: an mmengine optimizer config.
        clip_norm: largest gradient norm; 0 switches clipping off.
        warmup: iterations over which the learning rate rises linearly; it is constant afterwards.
        decay: share of the training, at its end, over which the learning rate falls to zero along a cosine. A
            search needs 0, so that a short training is the beginning of a longer one.
    """

    optimizer: dict[str, Any] = {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05}
    clip_norm: float = Field(10.0, ge=0)
    warmup: int = Field(20, ge=0)
    decay: float = Field(0.0, ge=0, le=1)

    def learning_rate_factor(self, iteration: int, iterations: int) -> float:
        """Return what the learning rate is multiplied by, in (0, 1]."""
        factor = min(1.0, (iteration + 1) / max(self.warmup, 1))
        start = iterations * (1 - self.decay)
        if self.decay and iteration >= start:
            factor *= 0.5 * (1 + math.cos(math.pi * (iteration - start) / (iterations - start)))
        return factor


def seed_all(seed: int, iteration: int = 0) -> None:
    """Seed Python's, numpy's and torch's global generators from (seed, iteration)."""
    mixed = random.Random(f"{seed}/{iteration}").getrandbits(32)
    random.seed(mixed)
    np.random.seed(mixed)
    torch.manual_seed(mixed)


def train(
    model: DistilledDetector, batches: Iterable[Batch], settings: OptimizerSettings, iterations: int, seed: int
) -> None:
    """Train a model in place; the same arguments give the same weights, bitwise on a CPU.

    Args:
        model: student, loss and adapters.
        batches: at least ``iterations`` batches with the teacher's knowledge, if kept.
        settings: optimizer and schedule.
        iterations: steps.
        seed: seeds all global generators before each step.

    Raises:
        TrainingFault: ``nonfinite`` or ``diverged``, at the iteration it shows.
    """
    model.train()
    clip = {"max_norm": settings.clip_norm} if settings.clip_norm else None
    wrapper = build_optim_wrapper(model, {"optimizer": dict(settings.optimizer), "clip_grad": clip})
    base = [group["lr"] for group in wrapper.param_groups]
    first = 0.0
    for iteration, (batch, teacher) in zip(range(iterations), batches, strict=False):
        seed_all(seed, iteration)
        for group, rate in zip(wrapper.param_groups, base, strict=True):
            group["lr"] = rate * settings.learning_rate_factor(iteration, iterations)
        losses = model.losses(batch, teacher)
        total, values = model.parse_losses(losses)
        task = _task_loss(values)
        first = first or task
        _check(float(total), task, first, iteration)
        wrapper.update_params(total)


def _task_loss(values: dict[str, Tensor]) -> float:
    return sum(float(value) for name, value in values.items() if "loss" in name and name != "loss" and "distill" not in name)


def _check(total: float, task: float, first: float, iteration: int) -> None:
    if not math.isfinite(total):
        raise TrainingFault("nonfinite", f"loss became {total} at iteration {iteration}")
    if task > DIVERGED * max(first, 1.0):
        raise TrainingFault("diverged", f"the student's own loss rose from {first:.3g} to {task:.3g} at iteration {iteration}")
