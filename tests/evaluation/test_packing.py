from __future__ import annotations

import pytest

from detkds_gp.evaluation import Packing
from detkds_gp.score import Trial


def trials(count: int, seed: int = 0, iterations: int = 10) -> list[Trial]:
    return [Trial(f"f{n}", iterations, seed) for n in range(count)]


@pytest.mark.parametrize(
    ("size", "workers", "count", "sizes"),
    [(1, 1, 3, [1, 1, 1]), (4, 1, 6, [4, 2]), (4, 2, 6, [3, 3]), (8, 2, 3, [2, 1]), (4, 8, 3, [1, 1, 1])],
)
def test_packs_grow_only_when_every_worker_has_one(size: int, workers: int, count: int, sizes: list[int]) -> None:
    assert [len(pack) for pack in Packing(size, workers)(trials(count))] == sizes


def test_only_what_differs_in_the_distiller_shares_a_pack() -> None:
    asked = [*trials(2, seed=0), *trials(2, seed=1), *trials(2, seed=0, iterations=20)]
    packs = Packing(4)(asked)
    assert packs == [[0, 1], [2, 3], [4, 5]]


def test_every_trial_is_in_one_pack() -> None:
    asked = [Trial(f"f{n}", 10, n % 3) for n in range(20)]
    assert sorted(place for pack in Packing(3, 2)(asked) for place in pack) == list(range(20))
