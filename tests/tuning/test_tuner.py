from __future__ import annotations

import random
from itertools import pairwise
from math import log10

import pytest

from detkds_gp.search import WeightRange
from detkds_gp.search.weights import cell
from detkds_gp.tuning import Curve, Tuner, tuned_aps

RANGE = WeightRange(0.01, 1000.0)


def landscape(weight: float, best: float) -> float:
    """As losses behave: a slow rise over decades, a flat top, a fast fall where the loss drowns the task."""
    off = log10(weight / best)
    return 0.33 + 0.03 * (2.718 ** (-((off / 1.5) ** 2)) if off < 0 else 2.718 ** (-((off / 0.7) ** 2)))


def run(best: float, noise: float = 0.0, seed: int = 0, **changes: object) -> dict[float, float | None]:
    rng = random.Random(seed)
    tuner = Tuner(RANGE, **changes)
    return tuned_aps(tuner, lambda weights: [landscape(w, best) + rng.gauss(0, noise) for w in weights])


@pytest.mark.parametrize(
    ("best", "starts"),
    [(0.02, (1.0,)), (0.1, (80.0, 1.0)), (0.7, (1.0,)), (33.0, (80.0, 1.0)), (220.0, (1.0,)), (900.0, (80.0, 1.0))],
)
def test_it_finds_a_known_optimum(best: float, starts: tuple[float, ...]) -> None:
    told = run(best, starts=starts)
    assert len(told) == 12
    assert tuple(told)[: len(starts)] == starts
    assert abs(log10(Curve(told).best / best)) < 0.2


@pytest.mark.slow
def test_under_the_noise_of_short_trainings_it_is_mostly_within_a_factor_of_three() -> None:
    near = [
        abs(log10(Curve(run(best, 0.004, seed)).best / best)) < 0.5 for best in (0.3, 5.0, 80.0) for seed in range(8)
    ]
    assert sum(near) >= 19  # of 24


def test_no_cell_is_trained_twice_and_it_repeats_itself() -> None:
    told = run(5.0, 0.01)
    assert len({cell(weight) for weight in told}) == len(told)
    assert run(5.0, 0.01) == told


def test_the_first_trainings_are_spread() -> None:
    tuner = Tuner(RANGE, (80.0, 1.0))
    told: dict[float, float | None] = {}
    while len(told) < 6:
        told.update(dict.fromkeys(tuner.ask(told), 0.3))
    logs = sorted(log10(weight) for weight in told)
    assert max(b - a for a, b in pairwise(logs)) <= 1.5
    assert logs[0] < -1
    assert logs[-1] > 2.4


def test_a_start_out_of_the_range_widens_it() -> None:
    told = run(30_000.0, starts=(30_000.0, 1.0))
    assert abs(log10(Curve(told).best / 30_000)) < 0.3
    assert max(told) <= 30_000


def test_failures_are_kept_away_from() -> None:
    tuner = Tuner(RANGE)
    told = tuned_aps(tuner, lambda weights: [None if w > 20 else landscape(w, 4.0) for w in weights])
    assert abs(log10(Curve(told).best / 4.0)) < 0.35
    assert sum(ap is None for ap in told.values()) <= 5
    assert len(tuned_aps(tuner, lambda weights: [None] * len(weights))) == 12


def test_a_narrow_range_ends_early_and_so_does_time() -> None:
    assert tuned_aps(Tuner(WeightRange(2.0, 2.0), (2.0,)), lambda weights: [0.3] * len(weights)) == {2.0: 0.3}
    rounds = iter([True, False])
    told = tuned_aps(Tuner(RANGE), lambda weights: [0.3] * len(weights), lambda: next(rounds))
    assert len(told) == 4
