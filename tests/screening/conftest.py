from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.language import Declaration, Distance, Loss, Map, PrimitiveSet, Transform, verdicts
from detkds_gp.primitives import OMNI, distances, inputs
from detkds_gp.screening import Screen
from detkds_gp.screening.lint import sampled_probes

sys.path.insert(0, str(Path(__file__).parent))  # for broken_primitives


def forced(name: str, function: Any, arguments: Any = (Map,), result: Any = Map, **more: Any) -> Declaration:
    """Declare past the contract, as no decorator lets one do."""
    function.__doc__ = "Break the contract."
    verdicts._passed.add(function)
    if result is Loss:
        return Distance(name, arguments, result, function, latex="#1")
    shape = "n c h w -> n c h w" if result is Map else "n c h w -> (n c) (h w)"
    role = more.pop("role", Transform)
    return role(name, arguments, result, function, latex="#1", shape=shape, **more)


def _declare(name: str, function: Any, **more: Any) -> PrimitiveSet:
    primitive = forced(name, function, **more)
    kept = (inputs.global_, distances.l1, distances.l2, distances.kl, distances.smooth_l1)
    return PrimitiveSet("FORCED", [*kept, primitive])


@pytest.fixture(scope="session")
def with_forced() -> Callable[..., PrimitiveSet]:
    """Make a set of plain distances and one primitive that was never held to its contract."""
    return _declare


@pytest.fixture(scope="session")
def sampled() -> Callable[[PrimitiveSet], Screen]:
    """Make a screen on sample features."""

    def make(primitive_set: PrimitiveSet, **options: Any) -> Screen:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Screen(sampled_probes(primitive_set), primitive_set, **options)

    return make


@pytest.fixture(scope="session")
def omni(sampled: Callable[[PrimitiveSet], Screen]) -> Screen:
    return sampled(OMNI)
