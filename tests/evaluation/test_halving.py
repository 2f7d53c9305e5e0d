from __future__ import annotations

from collections.abc import Sequence

import pytest

from detkds_gp.evaluation import Question
from detkds_gp.evaluation.halving import Halving, climbers, planned_iterations, survivors
from detkds_gp.fitness import ProxySettings
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.score import MIX, Score, Trial
from detkds_gp.search import Generation
from detkds_gp.turns import Turns, finished

RUNGS = ProxySettings(iterations=80, rungs=(20, 40), keep=0.5)


def distiller(number: int) -> Distiller:
    return parse_distiller(f"{number + 1} * 1 * l2(global)", DETKDS)


def questions(count: int, niche: str = "global") -> list[Question]:
    return [Question(Trial(f"{niche}{n}", 80, 0), distiller(n), niche) for n in range(count)]


class Recorder:
    """Answers with an AP by text, or a failure, and remembers what was asked."""

    def __init__(self, aps: dict[str, float | str]) -> None:
        self.aps = aps
        self.asked: list[tuple[int, list[str]]] = []

    def scoring(self, phase: str, questions: Sequence[Question]) -> Turns[list[Score]]:
        yield from ()
        texts = [one.trial.distiller for one in questions]
        self.asked.append((questions[0].trial.iterations, texts))
        told = [self.aps[text] for text in texts]
        return [Score.failed(ap) if isinstance(ap, str) else Score(ap) for ap in told]


def scored(evaluator: Halving, phase: str, questions: Sequence[Question]) -> list[Score]:
    return finished(evaluator.scoring(phase, questions))


def test_the_better_half_of_every_rung_trains_on() -> None:
    recorder = Recorder({"global0": 0.1, "global1": 0.4, "global2": 0.3, "global3": 0.2})
    scores = scored(Halving(recorder, RUNGS), "divide 0", questions(4))
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
    scores = scored(Halving(recorder, RUNGS), "divide 0", [*questions(2, "a"), *questions(2, "b")])
    assert [score.ok for score in scores] == [False, True, False, True]


def test_equals_are_decided_by_operations_then_by_the_order_asked() -> None:
    cheap, dear = parse_distiller("l2(global)", DETKDS), parse_distiller("l2(unit_channel(global))", DETKDS)
    asked = [Question(Trial("dear", 80, 0), dear, "a"), Question(Trial("cheap", 80, 0), cheap, "a")]
    assert [s.ok for s in scored(Halving(Recorder({"dear": 0.5, "cheap": 0.5}), RUNGS), "", asked)] == [
        False,
        True,
    ]
    twins = [Question(Trial("first", 80, 0), cheap, "a"), Question(Trial("second", 80, 0), cheap, "a")]
    assert [s.ok for s in scored(Halving(Recorder({"first": 0.5, "second": 0.5}), RUNGS), "", twins)] == [
        True,
        False,
    ]


def test_a_failure_on_a_rung_is_the_score() -> None:
    recorder = Recorder({"global0": "diverged", "global1": 0.1})
    scores = scored(Halving(recorder, RUNGS), "", questions(2))
    assert [score.failure for score in scores] == ["diverged", None]
    assert recorder.asked[1:] == [(40, ["global1"]), (80, ["global1"])]


def test_when_all_fail_nothing_trains_on() -> None:
    recorder = Recorder({"global0": "diverged", "global1": "timeout"})
    assert [s.failure for s in scored(Halving(recorder, RUNGS), "", questions(2))] == ["diverged", "timeout"]
    assert len(recorder.asked) == 1


def test_without_rungs_everyone_is_asked_once_at_full_length() -> None:
    recorder = Recorder({"global0": 0.1, "global1": 0.4})
    assert [s.ap for s in scored(Halving(recorder, ProxySettings(iterations=80)), "", questions(2))] == [
        0.1,
        0.4,
    ]
    assert recorder.asked == [(80, ["global0", "global1"])]


@pytest.mark.parametrize(("count", "keep", "left"), [(0, 0.5, 0), (1, 0.1, 1), (4, 0.5, 2), (5, 0.5, 3), (10, 0.3, 3)])
def test_survivors(count: int, keep: float, left: int) -> None:
    assert survivors(count, keep) == left


def test_planned_iterations_are_those_that_are_asked() -> None:
    two = ("global", "class_logits")
    search = [*(Generation("divide", n, two, size) for n, size in enumerate((5, 3, 3))), Generation("c", 0, (MIX,), 4)]
    assert climbers(5, RUNGS) == [5, 3, 2]
    # 5 to 20, 3 on to 40, 2 on to 80: 100 + 60 + 80; 3, 2, 1: 60 + 40 + 40; 4, 2, 1: 80 + 40 + 40
    assert planned_iterations(search, RUNGS) == 2 * (240 + 2 * 140) + 160
