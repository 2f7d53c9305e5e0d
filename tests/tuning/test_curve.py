from __future__ import annotations

import random
from math import log10

import numpy as np
import pytest

from detkds_gp.gain import paired_gain
from detkds_gp.tuning import Curve


def parabola(weight: float, best: float) -> float:
    return 0.35 - 0.01 * log10(weight / best) ** 2


@pytest.mark.parametrize("best", [0.3, 8.0, 200.0])
def test_without_noise_the_curve_is_the_function(best: float) -> None:
    weights = [10 ** (x / 2) for x in range(-4, 7)]
    curve = Curve({weight: parabola(weight, best) for weight in weights})
    assert abs(log10(curve.best / best)) < 0.12
    for point in curve.at([0.05, 1.7, 40.0]):
        assert point.ap == pytest.approx(parabola(point.weight, best), abs=0.003)
        assert point.low <= point.ap <= point.high
        assert point.measured is None


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Over repetitions of noisy trainings; not exact, since smoothness and noise are estimated of a dozen points."""
    rng, held, told = random.Random(0), 0, 0
    for _ in range(40):
        weights = [10 ** rng.uniform(-2, 3) for _ in range(12)]
        curve = Curve({weight: parabola(weight, 5.0) + rng.gauss(0, 0.006) for weight in weights})
        inside = [10**x for x in np.linspace(-1.5, 2.5, 9)]
        for point in curve.at(inside):
            held += point.low <= parabola(point.weight, 5.0) <= point.high
            told += 1
    assert held / told > 0.8


def test_noise_is_averaged_out() -> None:
    rng = random.Random(1)
    errors, raw = [], []
    for _ in range(12):
        aps = {10 ** (x / 4): 0.3 + rng.gauss(0, 0.01) for x in range(-4, 8)}
        curve = Curve(aps)
        raw.append(max(abs(ap - 0.3) for ap in aps.values()))
        errors.append(max(abs(point.ap - 0.3) for point in curve.at(list(aps))))
    assert paired_gain(raw, errors).low > 0.005


def test_a_failed_training_counts_as_the_worst_and_none_at_all_is_no_curve() -> None:
    curve = Curve({0.1: 0.30, 1.0: 0.34, 10.0: 0.36, 100.0: None, 1000.0: None})
    assert 1 < curve.best < 60
    low, high = curve.at([10.0, 1000.0])
    assert low.ap > high.ap
    assert (low.measured, high.measured) == (0.36, None)
    with pytest.raises(ValueError, match="no AP"):
        Curve({1.0: None})


def test_one_point_is_the_best() -> None:
    assert Curve({7.0: 0.2}).best == 7.0
