"""What the watch learns of the machine from a generation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from detkds_gp.evaluation import Interrupt, Question
from detkds_gp.execution import Usage
from detkds_gp.fitness import ProxySettings
from detkds_gp.language import Distiller
from detkds_gp.listener import Listener
from detkds_gp.score import Pace, Score, Trial
from detkds_gp.steering import Inbox
from detkds_gp.steering.prices import Prices
from detkds_gp.steering.watch import Watch
from detkds_gp.store import Store
from detkds_gp.turns import Turns, finished

WORKERS = 8


class Service:
    """Trains everyone side by side for 10 seconds; each is calibrated for 2 seconds before, and the search takes 1."""

    def __init__(self, store: Store) -> None:
        self.store, self.usage, self.now = store, Usage(), 0.0

    def scoring(self, phase: str, questions: Sequence[Question], allowance: Any) -> Turns[list[Score]]:
        yield from ()
        self.now += 1
        for seconds in (2, 10):
            self.now += seconds
            self.usage.busy_seconds += seconds * len(questions)
            self.usage.held_seconds += seconds * WORKERS
        for one in questions:
            self.store.record_score(one.trial, Score(0.1, wall_seconds=10.0), "")
            allowance.heard(one.trial, Score(0.1, wall_seconds=10.0))
        return [Score(0.1, wall_seconds=10.0)] * len(questions)


@pytest.mark.parametrize("rungs", [(), (20,)])
def test_workers_that_wait_are_no_overhead(rungs: tuple[int, ...], tmp_path: Path, monkeypatch: Any) -> None:
    proxy = ProxySettings(iterations=80, rungs=rungs)
    pace = Pace(distilled=0.1, overhead=0.0, selection=0.0, step=0.1, teacher=0.0, test=0.0)
    prices = Prices(pace, proxy, 80, WORKERS, 1.0, "wall")
    with Store.open(tmp_path) as store:
        service = Service(store)
        monkeypatch.setattr(time, "monotonic", lambda: service.now)
        planner: Any = SimpleNamespace(
            prices=prices,
            late=lambda: False,
            may_begin=lambda trials: True,
            plan=lambda: None,
            seconds=lambda plan: 0.0,
        )
        watch = Watch(planner, store, service, Listener(), Inbox(tmp_path), Interrupt(0.0))  # type: ignore[arg-type]
        for count in (2, 8):
            for length in (*rungs, 80):
                asked = [Question(Trial(f"{count} {n}", length, 0), Distiller(), "a") for n in range(count)]
                finished(watch.scoring("divide 0", asked))
            calls = 1 + len(rungs)
            assert prices.overhead == pytest.approx(
                calls * (2 + WORKERS / count)
            )  # calibration, and the search's second
