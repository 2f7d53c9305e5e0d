from __future__ import annotations

import pytest

from detkds_gp.evaluation.rungs import climbers, planned_iterations, survivors
from detkds_gp.fitness import ProxySettings
from detkds_gp.score import MIX
from detkds_gp.search import Generation

RUNGS = ProxySettings(iterations=80, rungs=(20, 40), keep=0.5)


@pytest.mark.parametrize(("count", "keep", "left"), [(0, 0.5, 0), (1, 0.1, 1), (4, 0.5, 2), (5, 0.5, 3), (10, 0.3, 3)])
def test_survivors(count: int, keep: float, left: int) -> None:
    assert survivors(count, keep) == left


def test_planned_iterations_are_those_that_are_asked() -> None:
    two = ("global", "class_logits")
    search = [*(Generation("divide", n, two, size) for n, size in enumerate((5, 3, 3))), Generation("c", 0, (MIX,), 4)]
    assert climbers(5, RUNGS) == [5, 3, 2]
    # 5 to 20, 3 on to 40, 2 on to 80: 100 + 60 + 80; 3, 2, 1: 60 + 40 + 40; 4, 2, 1: 80 + 40 + 40
    assert planned_iterations(search, RUNGS) == 2 * (240 + 2 * 140) + 160
