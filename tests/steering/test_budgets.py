"""Whole runs under budgets: they end in time at any speed, keep both stages and a final round, and repeat."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from detkds_gp.errors import BudgetError
from detkds_gp.evaluation import Stopped
from detkds_gp.listener import Listener
from detkds_gp.results import Clock, cuts, opened
from detkds_gp.run.verify import verify
from detkds_gp.score import NOT_BEGUN
from detkds_gp.steering import read_status
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_HELD, PACE, PLANNED

from ..scripts import benchmark

analytic = benchmark("analytic")

RIVALS = {f"rival {n}": f"1 * calibrated * {text}" for n, text in enumerate(
    ("l2(unit_channel(global))", "l1(unit_channel(global))", "l1(class_logits)", "l2(class_logits)")
)}  # fmt: skip
BEGAN = 1e9
VERDICT = {"seeds": (11, 12, 13, 14), "rivals": RIVALS, "share": 0.4}


def made(work_dir: Path, seconds: float = 0.0, loaded: tuple[float, float] = (1e99, 1e99), **options: Any) -> Any:
    worker = analytic.Analytic(seconds, loaded=loaded)
    given = {"execution": {"executor": "serial"}, "verdict": VERDICT, **options}
    return analytic.make_experiment(work_dir, worker, **given)


def stages(work_dir: Path) -> Counter[str]:
    with Store.open(work_dir, readonly=True) as store:
        return Counter(generation.stage for generation in store.generations())


def final(work_dir: Path) -> tuple[list[int], list[str]]:
    with opened(work_dir) as summary:
        verdict = summary.verdict
        return list(verdict.seeds), [finalist.role for finalist in verdict.finalists]


class FakeClock:
    """A clock that only trainings move on, so that a run of a quarter of an hour takes a second and repeats."""

    def __init__(self) -> None:
        self.now = BEGAN

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(time, "monotonic", made.time)
    monkeypatch.setattr(analytic, "time", SimpleNamespace(time=made.time, monotonic=made.time, sleep=made.sleep))
    return made


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("seconds", [2, 10])
@pytest.mark.parametrize(
    "load",
    [
        pytest.param((1e9, 1e9), id="quiet"),
        pytest.param((200, 1e9), id="200 on"),
        pytest.param((0, 300), id="to 300", marks=pytest.mark.slow),
        pytest.param((450, 1e9), id="450 on", marks=pytest.mark.slow),
        pytest.param((550, 1e9), id="550 on", marks=pytest.mark.slow),
        pytest.param((600, 1e9), id="600 on"),
    ],
)
def test_a_wall_budget_holds_whenever_the_machine_becomes_slow(
    load: tuple[float, float], seconds: float, ahead: int, tmp_path: Path, clock: FakeClock
) -> None:
    loaded = (BEGAN + load[0], BEGAN + load[1])
    made(tmp_path, seconds, loaded, budget="1000s", ahead=ahead).run(began=BEGAN)
    assert clock.now - BEGAN < 1.05 * 1000
    assert set(stages(tmp_path)) == {"divide", "conquer"}
    seeds, roles = final(tmp_path)
    assert len(seeds) >= 2
    assert roles[0] == "leader"
    assert sum(role in RIVALS for role in roles) >= 2
    if seconds == 10:
        with Store.open(tmp_path, readonly=True) as store:
            assert cuts(store)
    found = verify(tmp_path)
    assert (found.differences, found.complete) == ((), True)


def test_a_seed_of_the_final_round_is_left_when_it_cannot_end(tmp_path: Path, clock: FakeClock) -> None:
    experiment = made(tmp_path, 5, (BEGAN + 550, 1e99), budget="1000s")
    experiment.worker = replace(experiment.worker, load=20.0)
    experiment.run(began=BEGAN)
    assert clock.now - BEGAN < 1.05 * 1000
    assert verify(tmp_path).differences == ()


@pytest.mark.slow
def test_a_wall_budget_holds_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    began = time.time()
    made(tmp_path, 0.2, budget="20s").run(began=began)
    assert time.time() - began < 1.05 * 20
    assert set(stages(tmp_path)) == {"divide", "conquer"}
    assert len(final(tmp_path)[0]) >= 2


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("at", [4, 14, 23, 31])
def test_a_budgeted_run_that_was_stopped_anywhere_repeats_what_is_recorded(
    at: int, ahead: int, tmp_path: Path, clock: FakeClock
) -> None:
    heard = 0

    class Stopping(Listener):
        def answered(self, niche: str, score: Any) -> None:
            nonlocal heard
            heard += 1
            if heard == at:
                raise Stopped("here")

    with pytest.raises(Stopped):
        made(tmp_path, 10, budget="1200s", ahead=ahead).run(Stopping())
    with Store.open(tmp_path, readonly=True) as store:
        births, decisions = store.births(), store.steerings()
        generations = store.generations()
    clock.sleep(200)  # the time between two sessions is nobody's
    made(tmp_path, 10, budget="1200s", ahead=ahead).run()
    with Store.open(tmp_path, readonly=True) as store:
        assert store.births()[: len(births)] == births
        assert store.steerings()[: len(decisions)] == decisions
        assert store.generations()[: len(generations)] == generations
        assert Clock(store).seconds() < 1.05 * 1200
    assert verify(tmp_path).differences == ()
    before = analytic.history(tmp_path)
    made(tmp_path, 10, budget="1200s", ahead=ahead).run()
    assert analytic.history(tmp_path) == before


@pytest.mark.parametrize("budget", [32, 40, 60, 90])
def test_sizes_are_cut_rather_than_stages(budget: int, tmp_path: Path) -> None:
    made(tmp_path, budget=str(budget)).run()
    held = stages(tmp_path)
    assert held["divide"] >= 1
    assert held["conquer"] >= 1
    seeds, roles = final(tmp_path)
    assert len(seeds) == 4
    assert sum(role in RIVALS for role in roles) >= 2
    with Store.open(tmp_path, readonly=True) as store:
        assert store.costs().trainings <= budget
        first = store.steering("divide", -1) or {}
        grown = [birth for birth in store.births() if birth.text not in first["injected"]]
        sizes = Counter((birth.stage, birth.generation, birth.niche) for birth in grown)
        most = first["most"]
    assert max(count for (stage, number, _), count in sizes.items() if (stage, number) == ("divide", 0)) <= most
    assert verify(tmp_path).differences == ()


def test_sizes_that_were_meddled_with_are_found_out(tmp_path: Path) -> None:
    made(tmp_path, budget="40").run()
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        ((text,),) = database.execute("SELECT decision FROM steering WHERE stage = 'divide' AND number = -1").fetchall()
        larger = json.dumps(json.loads(text) | {"most": 5})
        database.execute("UPDATE steering SET decision = ? WHERE stage = 'divide' AND number = -1", (larger,))
    found = verify(tmp_path)
    assert found.differences
    assert not found.complete


def test_without_a_budget_nothing_is_cut_or_decided(tmp_path: Path) -> None:
    made(tmp_path).run()
    with Store.open(tmp_path, readonly=True) as store:
        first, *later = store.steerings()  # before the search: the rivals at their best join its first generation
        assert (first["end"], first["most"], len(first["injected"])) == (None, None, len(RIVALS))
        assert not any(any(decision.values()) for decision in later)
        assert [line for line in cuts(store) if not line.startswith("the final round has")] == []
        born = Counter((birth.stage, birth.generation) for birth in store.births())
    sizes = {number: count for (stage, number), count in born.items() if stage == "divide"}
    assert sizes == {0: 12 + len(RIVALS), 1: 12, 2: 12, 3: 12}
    assert (born["conquer", 1], born["conquer", 2]) == (5, 5)


def test_a_budget_that_is_too_small_says_what_it_would_take_and_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"enough for .* formulas; wanted .* use --budget (\d+)s") as refused:
        made(tmp_path, 1.0, budget="25s").run()
    assert not list(tmp_path.glob("store.sqlite*"))
    enough = int(str(refused.value).split("--budget ")[1].split("s")[0])
    fewest = 7 + 7 + 2 * 2 + 2 + 3 * 4  # students alone, anchors, either stage and the final round
    assert fewest <= enough <= 1.6 * fewest  # a second for each, and some care
    with pytest.raises(BudgetError):
        made(tmp_path / "less", 1.0, budget=f"{enough - 5}s").run()


def test_the_least_budget_that_is_named_is_enough(tmp_path: Path, clock: FakeClock) -> None:
    with pytest.raises(BudgetError) as refused:
        made(tmp_path, 2, budget="25s").run()
    text = str(refused.value).split("use --budget ")[1].split(",")[0]
    began = clock.now
    made(tmp_path, 2, budget=text).run(began=began)
    assert clock.now - began < 1.05 * float(text[:-1])
    assert set(stages(tmp_path)) == {"divide", "conquer"}
    assert len(final(tmp_path)[0]) >= 2


def test_what_was_cut_is_said_on_top(tmp_path: Path) -> None:
    outcome = made(tmp_path, budget="40").run()
    told = outcome.summary["cut"]
    assert any(line.startswith("divide: 2 new formulas of each knowledge instead of 6") for line in told)
    assert any(line.startswith("final round: ") and "left out: " in line for line in told)
    assert not any("contender, contender" in line for line in told)


def test_what_is_not_begun_is_recorded_and_counts_as_no_training(tmp_path: Path, clock: FakeClock) -> None:
    experiment = made(tmp_path, 5, (BEGAN + 140, 1e99), budget="1000s")
    experiment.worker = replace(experiment.worker, load=20.0)
    experiment.run(began=BEGAN)
    assert clock.now - BEGAN < 1.05 * 1000
    with Store.open(tmp_path, readonly=True) as store:
        scores = store.scores()
        missing = sum(record.score.failure == NOT_BEGUN for record in scores)
        assert missing
        assert store.costs().trainings == sum(record.trial.iterations > 0 for record in scores) - missing
        assert any("not trained" in line for line in cuts(store))
    assert verify(tmp_path).differences == ()
    before = analytic.history(tmp_path)
    made(tmp_path, budget="1h").run()
    assert analytic.history(tmp_path) == before


def test_plans_are_recorded_and_read_by_the_status(tmp_path: Path) -> None:
    told: list[tuple[float, Any]] = []

    class Watching(Listener):
        def time_left(self, seconds: float) -> None:
            told.append((seconds, read_status(tmp_path)["eta_seconds"]))

    made(tmp_path, 0.01, budget="60s").run(Watching())
    with Store.open(tmp_path, readonly=True) as store:
        assert len(store.events(PACE)) == 1
        plans = store.events(PLANNED)
        assert store.events(FINAL_HELD)
    assert plans[0].detail["places"] >= 3
    assert [one["stage"] for one in plans[0].detail["generations"]][-1] == "conquer"
    assert told[0][0] == pytest.approx(plans[0].detail["seconds"])
    assert told[-1][1] is not None
    assert read_status(tmp_path)["eta_seconds"] == 0.0
