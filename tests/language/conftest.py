from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from deap import gp

from detkds_gp.language import PrimitiveSet, grow, ramped_half_and_half
from detkds_gp.primitives import DETKDS, OMNI


def _draw(primitive_set: PrimitiveSet, rng: random.Random, method: str, depth: int) -> gp.PrimitiveTree:
    if method == "ramped":
        return ramped_half_and_half(primitive_set, rng, 1, depth)
    return grow(primitive_set, rng, depth, full=method == "full")


def _trees(count: int) -> Iterator[tuple[gp.PrimitiveTree, PrimitiveSet, int]]:
    rng = random.Random(0)
    sets = [s for whole in (OMNI, DETKDS) for s in (whole, *map(whole.niche, whole.niches))]
    for number in range(count):
        depth = 1 + number % 8
        method = ("grow", "full", "ramped")[number // 8 % 3]
        primitive_set = sets[number // 24 % len(sets)]
        yield _draw(primitive_set, rng, method, depth), primitive_set, depth


@pytest.fixture(scope="session")
def many() -> list[tuple[gp.PrimitiveTree, PrimitiveSet, int]]:
    """12,000 trees, each with its set and the depth asked for."""
    return list(_trees(12_000))


@pytest.fixture(scope="session")
def grown(many) -> list[tuple[gp.PrimitiveTree, PrimitiveSet, int]]:
    """The first 10,000 of them."""
    return many[:10_000]
