"""The short training loop of the proxy and of a teacher that comes without a checkpoint."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import OPTIMIZERS
from pydantic import Field, field_validator
from torch import Tensor, nn

from detkds_gp.settings import Settings
from detkds_gp.training.distilled_detector import DistilledDetector, Said

DIVERGED = 10.0
"""A student's own loss this many times its first one (or 1, if that was lower) has diverged."""

Batch = tuple[dict[str, Any], Said | None]
"""What `make_batch` gives, and what the teacher says of it if that is kept."""


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


class OptimizerSettings(Settings):
    """How the weights move.

    Attributes:
        optimizer: an mmengine optimizer config.
        clip_norm: largest gradient norm; 0 switches clipping off.
        warmup: iterations over which the learning rate rises linearly; it is constant afterwards.
        decay: share of the training, at its end, over which the learning rate falls to zero along a cosine. With
            0 a short training is the beginning of a longer one; with more, seeds differ less.
    """

    optimizer: dict[str, Any] = Field(default_factory=lambda: {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05})
    clip_norm: float = Field(10.0, ge=0)
    warmup: int = Field(20, ge=0)
    decay: float = Field(0.0, ge=0, le=1)

    @field_validator("optimizer")
    @classmethod
    def _builds(cls, optimizer: dict[str, Any]) -> dict[str, Any]:
        try:
            OPTIMIZERS.build({**optimizer, "params": [nn.Parameter(torch.zeros(1))]})
        except Exception as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            wanted = "wanted what mmengine builds, such as dict(type='AdamW', lr=1e-3)"
            raise ValueError(f"optimizer is {optimizer}: {first}; {wanted}") from None
        return optimizer

    def learning_rate_factor(self, iteration: int, iterations: int) -> float:
        """Return what the learning rate is multiplied by at a step, counted from 0, in (0, 1]."""
        factor = min(1.0, (iteration + 1) / max(self.warmup, 1))
        start = iterations * (1 - self.decay)
        if self.decay and iteration >= start:
            factor *= 0.5 * (1 + math.cos(math.pi * (iteration - start) / (iterations - start)))
        return factor


def seed_all(seed: int, iteration: int = 0) -> None:
    """Seed Python's, numpy's and torch's global generators from (seed, iteration)."""
    mixed = random.Random(f"{seed}/{iteration}").getrandbits(32)
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - mmdet draws from the global generator
    torch.manual_seed(mixed)


def train(
    model: DistilledDetector, batches: Iterable[Batch], settings: OptimizerSettings, iterations: int, seed: int
) -> None:
    """Train a model in place; the same arguments give the same weights, bitwise on a CPU.

    Args:
        model: student, loss and adapters.
        batches: at least ``iterations`` of them; no more are drawn.
        settings: optimizer and schedule.
        iterations: steps.
        seed: seeds all global generators before each step.

    Raises:
        TrainingFault: ``nonfinite`` or ``diverged``, at the iteration it shows.
        KnowledgeError: if the distiller cannot be computed on the pair's knowledge.
        ValueError: if there are fewer batches.
    """
    model.train()
    clip = {"max_norm": settings.clip_norm} if settings.clip_norm else None
    wrapper = build_optim_wrapper(model, {"optimizer": dict(settings.optimizer), "clip_grad": clip})
    base = [group["lr"] for group in wrapper.param_groups]
    supply = iter(batches)
    first = 0.0
    for iteration in range(iterations):
        batch, teacher = _next(supply, iteration, iterations)
        seed_all(seed, iteration)
        for group, rate in zip(wrapper.param_groups, base, strict=True):
            group["lr"] = rate * settings.learning_rate_factor(iteration, iterations)
        losses = model.losses(batch, teacher)
        total, values = model.parse_losses(losses)
        task = _task_loss(values)
        first = first or task
        _check(total.item(), task, first, iteration)
        wrapper.update_params(total)
    _check_weights(model, iterations)


def _next(supply: Iterator[Batch], iteration: int, iterations: int) -> Batch:
    for batch in supply:
        return batch
    raise ValueError(f"got {iteration} batches, wanted {iterations}")


def _task_loss(values: dict[str, Tensor]) -> float:
    own = (name for name in values if "loss" in name and name != "loss" and "distill" not in name)
    return sum(values[name].item() for name in own)


def _check(total: float, task: float, first: float, iteration: int) -> None:
    if not math.isfinite(total):
        raise TrainingFault("nonfinite", f"loss became {total} at iteration {iteration}")
    if task > DIVERGED * max(first, 1.0):
        rise = f"the student's own loss rose from {first:.3g} to {task:.3g}"
        raise TrainingFault("diverged", f"{rise} at iteration {iteration}")


def _check_weights(model: nn.Module, iterations: int) -> None:
    """Refuse weights that the last step broke: such a detector finds nothing, silently."""
    broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    if broken:
        raise TrainingFault("nonfinite", f"{broken[0]} is not finite after iteration {iterations - 1}")
