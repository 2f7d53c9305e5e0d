"""What one training step of a pair takes: time, memory, forward passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from detkds_gp.setup.wiring import Wired
from detkds_gp.training import DistilledDetector

STEPS = 3
"""Steps that are timed; the fastest counts."""

PARTS = ("backbone", "neck", "bbox_head", "rpn_head", "roi_head.bbox_head", "roi_head.mask_head")


@dataclass(frozen=True)
class StepCost:
    """What a training step takes.

    Attributes:
        loss_ms: milliseconds for forward, losses and backward, the fastest of some steps.
        saved_mib: MiB that are held for the backward pass.
        passes: how often each part ran.
    """

    loss_ms: float
    saved_mib: float
    passes: dict[str, int]


def step_cost(model: DistilledDetector, wired: Wired, batch: dict[str, Any]) -> StepCost:
    """Time a step, count what it holds for the backward pass and how often each part runs."""
    model.train()
    with _counting(wired) as passes, _saving() as saved:
        total, _ = model.parse_losses(model.losses(batch))
    total.backward()
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        total, _ = model.parse_losses(model.losses(batch))
        total.backward()
        total.item()  # a GPU works behind the clock's back
        seconds.append(time.perf_counter() - started)
    model.zero_grad()
    return StepCost(round(1000 * min(seconds), 2), round(sum(saved.values()) / 2**20, 2), dict(passes))


@contextmanager
def _counting(wired: Wired) -> Iterator[dict[str, int]]:
    """Count the forward passes of the parts of both detectors; the stages of a cascade count one by one."""
    passes: dict[str, int] = {}
    handles = []
    for role, detector in (("student", wired.student), ("teacher", wired.teacher)):
        modules = dict(detector.named_modules())
        for part in PARTS:
            stages = modules.get(part)
            if stages is None:
                continue
            listed = list(stages.children()) if isinstance(stages, nn.ModuleList) else [stages]
            passes[f"{role}.{part}"] = 0
            handles += [module.register_forward_hook(_counter(passes, f"{role}.{part}")) for module in listed]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()


def _counter(passes: dict[str, int], key: str) -> Callable[..., None]:
    def count(*_: object) -> None:
        passes[key] += 1

    return count


@contextmanager
def _saving() -> Iterator[dict[int, int]]:
    """Collect the bytes of every storage that is kept for the backward pass, each once."""
    saved: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        yield saved
