from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detkds_gp.experiment.halving import climbing
from detkds_gp.fitness import ProxySettings
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.score import Score, Trial

RUNGS = ProxySettings(iterations=80, rungs=(20, 40), keep=0.5)


def distiller(number: int) -> Distiller:
    return parse_distiller(f"{number + 1} * 1 * l2(global)", DETKDS)


def questions(count: int, niche: str = "global") -> list[tuple[Trial, Distiller, str]]:
    return [(Trial(f"{niche}{n}", 80, 0), distiller(n), niche) for n in range(count)]


class Recorder:
    """Answers with an AP by text, or a failure, and remembers what was asked."""

    def __init__(self, aps: dict[str, float | str]) -> None:
        self.aps = aps
        self.asked: list[tuple[int, list[str]]] = []

    def __call__(self, phase: str, asked: Sequence[Any]) -> list[Score]:
        self.asked.append((asked[0][0].iterations, [trial.distiller for trial, *_ in asked]))
        told = [self.aps[trial.distiller] for trial, *_ in asked]
        return [Score.failed(ap) if isinstance(ap, str) else Score(ap) for ap in told]


def test_the_better_half_of_every_rung_trains_on() -> None:
    recorder = Recorder({"global0": 0.1, "global1": 0.4, "global2": 0.3, "global3": 0.2})
    scores = climbing(RUNGS, recorder)("divide 0", questions(4))
    assert recorder.asked == [
        (20, ["global0", "global1", "global2", "global3"]),
        (40, ["global1", "global2"]),
        (80, ["global1"]),
    ]
    assert [score.ap for score in scores] == [None, 0.4, None, None]
    assert [score.failure for score in scores] == ["rejected:rung", None, "rejected:rung", "rejected:rung"]
    assert scores[2].detail == "AP 0.3000 after 40 iterations is not among the best of global"


def test_knowledges_do_not_compete() -> None:
    recorder = Recorder({"a0": 0.1, "a1": 0.2, "b0": 0.8, "b1": 0.9})
    scores = climbing(RUNGS, recorder)("divide 0", [*questions(2, "a"), *questions(2, "b")])
    assert [score.ok for score in scores] == [False, True, False, True]


def test_equals_are_decided_by_operations_then_by_the_order_asked() -> None:
    cheap, dear = parse_distiller("l2(global)", DETKDS), parse_distiller("l2(unit_channel(global))", DETKDS)
    asked = [(Trial("dear", 80, 0), dear, "a"), (Trial("cheap", 80, 0), cheap, "a")]
    assert [s.ok for s in climbing(RUNGS, Recorder({"dear": 0.5, "cheap": 0.5}))("", asked)] == [False, True]
    twins = [(Trial("first", 80, 0), cheap, "a"), (Trial("second", 80, 0), cheap, "a")]
    assert [s.ok for s in climbing(RUNGS, Recorder({"first": 0.5, "second": 0.5}))("", twins)] == [True, False]


def test_a_failure_on_a_rung_is_the_score() -> None:
    recorder = Recorder({"global0": "diverged", "global1": 0.1})
    scores = climbing(RUNGS, recorder)("", questions(2))
    assert [score.failure for score in scores] == ["diverged", None]
    assert recorder.asked[1:] == [(40, ["global1"]), (80, ["global1"])]


def test_when_all_fail_nothing_trains_on() -> None:
    recorder = Recorder({"global0": "diverged", "global1": "timeout"})
    assert [s.failure for s in climbing(RUNGS, recorder)("", questions(2))] == ["diverged", "timeout"]
    assert len(recorder.asked) == 1


def test_without_rungs_nothing_is_wrapped() -> None:
    recorder = Recorder({})
    assert climbing(ProxySettings(), recorder) is recorder
