"""What trainings are expected to cost, against sums done by hand."""

from __future__ import annotations

import pytest

from detkds_gp.fitness import ProbeRequest, ProxySettings, TeacherRequest
from detkds_gp.language import NONE
from detkds_gp.score import NOT_BEGUN, Pace, Score, Trial
from detkds_gp.steering.prices import Prices

PACE = Pace(step=0.1, distilled=0.2, selection=1.0, test=3.0, teacher=60.0, overhead=0.0)
PROXY = ProxySettings(iterations=100, calibration_iterations=40)


def prices(kind: str = "wall", workers: int = 2, proxy: ProxySettings = PROXY) -> Prices:
    return Prices(PACE, proxy, 200, workers, 0.5, kind)  # type: ignore[arg-type]


def test_a_training_costs_its_steps_and_its_evaluations() -> None:
    asked = prices()
    assert asked.expected(Trial("l2(global)", 100, 0)) == pytest.approx(100 * 0.2 + 1)
    assert asked.expected(Trial("l2(global)", 200, 11, test=True)) == pytest.approx(200 * 0.2 + 1 + 3)
    assert asked.expected(Trial(NONE, 200, 11, test=True)) == pytest.approx(200 * 0.1 + 1 + 3)
    assert (asked.expected(TeacherRequest()), asked.expected(ProbeRequest(0))) == (60.0, pytest.approx(4.0))


def test_on_a_rung_only_the_steps_since_the_one_before_are_paid() -> None:
    asked = prices(proxy=ProxySettings(iterations=100, rungs=(25, 50)))
    steps = [asked.expected(Trial("l2(global)", n, 0)) - 1 for n in (25, 50, 100)]
    assert steps == pytest.approx([25 * 0.2, 25 * 0.2, 50 * 0.2])


def test_generations_are_paid_in_rounds_of_the_workers() -> None:
    asked = prices()
    assert asked.generation(3, 3, careful=False) == pytest.approx(5 * 21)  # 9 trainings, two at a time
    assert prices("evaluations").generation(3, 3) == 9
    assert prices("gpu").generation(3, 3, careful=False) == pytest.approx(0.5 * 9 * 21)
    assert asked.final(3, 4, careful=False) == pytest.approx(6 * 44)


def test_the_last_trainings_say_how_fast_the_machine_is_now() -> None:
    asked, trial = prices(), Trial("l2(global)", 100, 0)
    for slower in [1.0] * 20 + [3.0] * 7:
        asked.learn(trial, Score(0.5, wall_seconds=21 * slower))
    assert asked.slowdown() == pytest.approx(3.0)
    assert asked.generation(1, 2, careful=False) == pytest.approx(63)


def test_what_was_not_trained_says_nothing() -> None:
    asked, trial = prices(), Trial("l2(global)", 100, 0)
    asked.learn(trial, Score.failed(NOT_BEGUN))
    asked.learn(trial, Score.failed("nonfinite", wall_seconds=1.0))
    assert (asked.slowdown(), asked.recent) == (1.0, [])
    asked.learn(trial, Score.failed("timeout", wall_seconds=42.0))
    assert asked.slowdown() == 2.0


def test_a_training_that_does_not_come_back_says_that_the_machine_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, trial = prices(), Trial("l2(global)", 100, 0)
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    asked.begun([trial])
    monkeypatch.setattr("time.monotonic", lambda: 84.0)
    assert asked.slowdown() == pytest.approx(4.0)
    asked.learn(trial, Score(0.5, wall_seconds=84.0))
    monkeypatch.setattr("time.monotonic", lambda: 840.0)
    assert asked.slowdown() == pytest.approx(4.0)  # it is at work no longer
