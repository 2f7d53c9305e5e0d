"""Questions that are asked while earlier ones are at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detkds_gp.evaluation import EvaluationService, Interrupt, Question, Stopped
from detkds_gp.fitness import ScaleRequest, ScreenRequest
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.primitives import DETKDS
from detkds_gp.score import Scale, Score, Screening, Trial
from detkds_gp.store import Store
from detkds_gp.turns import Turns, finished

from ..execution.own_executor import Threads


def napping(request):
    if isinstance(request, ScaleRequest):
        return Scale(0.5)
    if isinstance(request, ScreenRequest):
        return Screening()
    time.sleep(request.iterations / 10)
    return Score(0.1, wall_seconds=request.iterations / 10)


def questions(weight: int, *iterations: int) -> list[Question]:
    texts = [f"{weight}{place} * 1 * l2(global)" for place in range(len(iterations))]
    return [
        Question(Trial(text, length, 1), parse_distiller(text, DETKDS), "global")
        for text, length in zip(texts, iterations, strict=True)
    ]


@contextmanager
def service(folder: Path, workers: int = 2, interrupt: Interrupt | None = None) -> Iterator[EvaluationService]:
    with Store.open(folder) as store:
        made = EvaluationService(store, lambda: Threads(lambda: napping, workers), Listener(), 0, interrupt)
        try:
            yield made
        finally:
            made.close()


def known(folder: Path, asked: list[Question]) -> list[bool]:
    with Store.open(folder, readonly=True) as store:
        return [store.score(one.trial) is not None for one in asked]


def both(earlier: Turns[list[Score]], later: Turns[list[Score]]) -> Turns[list[Score]]:
    """Go on with both in turns until the later one is done; return what it returns."""
    while True:
        next(earlier)
        try:
            yield next(later)
        except StopIteration as end:
            scores: list[Score] = end.value
            return scores


def test_a_worker_that_has_nothing_more_of_one_generation_takes_the_next(tmp_path: Path) -> None:
    first, second = questions(1, 30, 1), questions(2, 1, 1, 1)
    with service(tmp_path) as evaluations:
        earlier, later = evaluations.scoring("first", first), evaluations.scoring("second", second)
        assert [score.ap for score in finished(both(earlier, later))] == [0.1] * 3
        assert known(tmp_path, first) == [False, True]
        assert len(finished(earlier)) == 2
    assert known(tmp_path, [*first, *second]) == [True] * 5


def test_formulas_are_screened_and_calibrated_while_others_train(tmp_path: Path) -> None:
    first = questions(1, 10, 10, 10, 10)
    with service(tmp_path) as evaluations:
        earlier = evaluations.scoring("first", first)
        next(earlier)()
        assert evaluations.scales(["l1(global)"])["l1(global)"].value == 0.5
        assert set(evaluations.screenings(["l2(global)", "l1(global)"])) == {"l2(global)", "l1(global)"}
        finished(earlier)
    assert all(known(tmp_path, first))


def test_a_fault_after_a_request_to_stop_ends_at_once(tmp_path: Path) -> None:
    interrupt = Interrupt(30.0)

    class Broken(Threads):
        def wait(self) -> None:
            if interrupt.requested:
                raise RuntimeError("broken")
            super().wait()
            interrupt.request()

    with Store.open(tmp_path) as store:
        made = EvaluationService(store, lambda: Broken(lambda: napping, 2), Listener(), 0, interrupt)
        with pytest.raises(RuntimeError, match="broken"):
            made.scores("first", questions(1, 1, 10))
        made.close()


def test_an_orderly_stop_keeps_what_is_at_work_of_all(tmp_path: Path) -> None:
    interrupt = Interrupt(30.0)
    first, second = questions(1, 5, 10), questions(2, 15, 1)
    with service(tmp_path, 2, interrupt) as evaluations:
        earlier, later = evaluations.scoring("first", first), evaluations.scoring("second", second)
        turns = both(earlier, later)
        while not known(tmp_path, first)[0]:
            wait = next(turns)
            if not known(tmp_path, first)[0]:
                wait()
        threading.Timer(0.2, interrupt.request).start()  # one of each is at work
        with pytest.raises(Stopped):
            finished(earlier)
        later.close()
    assert known(tmp_path, [*first, *second]) == [True, True, True, False]
