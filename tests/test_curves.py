from __future__ import annotations

import re

import numpy as np
import pytest

from detkds_gp.curves import end_of, prospects

LENGTHS = (120, 240, 360, 480, 720, 960, 1200, 1440)
# Blood cells: the student alone, averaged weights, AP at 240, 480, ... 1440 steps.
MEASURED = [(240, 0.338), (480, 0.372), (720, 0.389), (960, 0.390), (1200, 0.398), (1440, 0.394)]


def power(n: float) -> float:
    return 0.4 - 1.5 * n**-0.8


def exponential(n: float) -> float:
    return 0.4 - 0.3 * np.exp(-n / 300)


@pytest.mark.parametrize("shape", [power, exponential])
def test_the_end_of_a_clean_curve_is_found(shape) -> None:  # type: ignore[no-untyped-def]
    end = end_of([(n, shape(n)) for n in LENGTHS])
    assert end.ap == pytest.approx(0.4, abs=0.003)
    assert end.low < 0.4 < end.high
    assert end.longer.mean == pytest.approx(shape(3 * LENGTHS[-1]) - shape(LENGTHS[-1]), abs=0.003)


@pytest.mark.parametrize("shape", [power, exponential])
def test_the_interval_holds_the_end_of_most_noisy_curves(shape) -> None:  # type: ignore[no-untyped-def]
    held = []
    for seed in range(60):
        noise = 0.006 * np.random.default_rng(seed).standard_normal(len(LENGTHS))
        end = end_of([(n, shape(n) + e) for n, e in zip(LENGTHS, noise, strict=True)])
        assert end.low <= end.ap <= end.high
        held.append(end.low <= 0.4 <= end.high)
    assert np.mean(held) >= 0.9


def test_the_first_half_of_a_measured_curve_foretells_its_end() -> None:
    early, whole = end_of(MEASURED[:4]), end_of(MEASURED)
    assert early.low < 0.396 < early.high
    assert whole.ap == pytest.approx(0.396, abs=0.005)
    assert whole.high - whole.low < early.high - early.low


def test_a_flat_curve_ends_where_it_is_and_a_straight_one_nowhere() -> None:
    flat = end_of([(n, 0.3) for n in LENGTHS])
    assert flat.ap == pytest.approx(0.3, abs=1e-6)
    assert flat.longer.mean == pytest.approx(0, abs=1e-6)
    straight = end_of([(n, n / 4000) for n in LENGTHS])
    assert straight.longer.mean > 0.1
    assert straight.high > 0.8


@pytest.mark.parametrize("shape", [power, exponential])
def test_the_interval_of_what_is_to_gain_holds_the_truth(shape) -> None:  # type: ignore[no-untyped-def]
    held, climbed = [], []
    for seed in range(14):
        rng = np.random.default_rng(seed)
        student, teacher = (
            [(n, shift + shape(n) + e) for n, e in zip(LENGTHS, 0.006 * rng.standard_normal(len(LENGTHS)), strict=True)]
            for shift in (0.0, 0.05)
        )
        (said,) = [line for line in prospects(student, teacher, None) if "to gain" in line]
        low, high = re.search(r"\[(\S+), (\S+)\] to gain", said).groups()
        held.append((low == "unknown" or float(low) <= 0.05) and (high == "unknown" or float(high) >= 0.05))
        longer = end_of(student).longer
        assert longer.low <= longer.mean <= longer.high
        climbed.append(longer.low <= shape(3 * LENGTHS[-1]) - shape(LENGTHS[-1]) <= longer.high)
    assert np.mean(held) >= 0.9
    assert np.mean(climbed) >= 0.9


def test_a_few_points_have_no_end() -> None:
    assert end_of(MEASURED[:3]) is None
    assert prospects(MEASURED[:3], [], 0.4) == []
    assert prospects([], [], 0.4) == []


def test_it_says_what_saves_a_night() -> None:
    climbing = [(n, exponential(n)) for n in (30, 60, 120, 180, 240)]
    said = " ".join(prospects(climbing, [], 0.387))
    assert re.search(r"still climbing: 3 times the steps bring about \+0\.\d+ \[\S+, \+0\.\d+\] without", said)
    assert "Your teacher seems to end no higher than your student" in " ".join(prospects(MEASURED, [], 0.387))
    assert "Your teacher ends no higher than your student" in " ".join(prospects(MEASURED, [], 0.37))
    lower = " ".join(prospects(MEASURED, [], 0.37))
    assert re.search(r"\(from student to teacher it is -0\.0\d+ \[-0\.\d+, -0\.\d+\]\)", lower)
    assert "to gain" not in lower
    accelerating = [(15, 0.02), (30, 0.03), (45, 0.08), (60, 0.154)]
    few = " ".join(prospects(accelerating, [], 0.3))
    assert "trained on, it ends somewhere above 0.000 (selection)" in few
    assert few.endswith("cannot be told from so few steps.")
    assert "your student" not in few  # no advice without a reason
    gap = " ".join(prospects(MEASURED, [], 0.5))
    assert re.search(r"about \+0\.1\d+ \[\+0\.0\d+, \+0\.1\d+\] to gain", gap)
    assert "still climbing" not in gap
    assert "cannot be told" in " ".join(prospects(MEASURED, [], 0.41))


def test_a_teacher_that_would_rise_further_counts_by_its_end() -> None:
    rising = [(n, 0.05 + exponential(n)) for n in (120, 240, 360, 480, 600)]
    said = prospects(MEASURED, rising, rising[-1][1])
    assert any("trained on, it would end at 0.4" in line for line in said)
