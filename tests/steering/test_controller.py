"""Runs of the analytic experiment: budgets, commands, signals and replays, without a detector."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.errors import ConfigError
from detkds_gp.evaluation import Stopped
from detkds_gp.listener import Listener
from detkds_gp.run.verify import verify
from detkds_gp.score import NOT_BEGUN, Score, Trial
from detkds_gp.steering import Inbox, read_status
from detkds_gp.store import Store
from detkds_gp.store.events import EXPLAINING

from ..scripts import BENCHMARKS, benchmark

SERIAL = {"executor": "serial"}


analytic = benchmark("analytic")


class Hooked(Listener):
    """Does something when a phase starts."""

    def __init__(self, phase: str, do: Callable[[], None]) -> None:
        self.at, self.do, self.said = phase, do, []

    def say(self, message: str) -> None:
        self.said.append(message)

    def phase(self, name: str, total: int, known: int, besides: int = 0) -> None:
        if name == self.at:
            self.do()


def run(work_dir: Path, listener: Listener | None = None, seconds: float = 0.0, **options: Any) -> Any:
    experiment = analytic.make_experiment(work_dir, analytic.Analytic(seconds), **{"execution": SERIAL, **options})
    return experiment.run(listener)


def generations(work_dir: Path) -> list[tuple[str, int]]:
    with Store.open(work_dir, readonly=True) as store:
        return [(g.stage, g.number) for g in store.generations()]


def trainings(work_dir: Path) -> int:
    with Store.open(work_dir, readonly=True) as store:
        return sum(record.trial.iterations > 0 for record in store.scores())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a run that nobody touched."""
    work_dir = tmp_path_factory.mktemp("plain") / "run"
    run(work_dir)
    return work_dir


def test_a_run_whose_generations_overlap_repeats_and_verifies(plain: Path, tmp_path: Path) -> None:
    for name in ("once", "again"):
        run(tmp_path / name, ahead=1)
    assert analytic.history(tmp_path / "again") == analytic.history(tmp_path / "once") != analytic.history(plain)
    found = verify(tmp_path / "once")
    assert (found.differences, found.complete, found.generations) == ((), True, 7)


def test_the_plain_run_repeats_and_verifies(plain: Path, tmp_path: Path) -> None:
    run(tmp_path / "again")
    assert analytic.history(tmp_path / "again") == analytic.history(plain)
    found = verify(plain)
    assert (found.differences, found.complete) == ((), True)
    assert found.generations == len(generations(plain)) == 7


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("budget", [40, 46, 52, 60, 70])
def test_evaluations_stay_within_their_budget_with_the_verdict(
    budget: int, ahead: int, plain: Path, tmp_path: Path
) -> None:
    outcome = run(tmp_path, budget=str(budget), ahead=ahead)
    assert trainings(tmp_path) <= budget < trainings(plain) + 10
    assert outcome.summary["best"]["gain"] is not None
    assert ("conquer", 0) in generations(tmp_path) or budget < 45
    assert verify(tmp_path).differences == ()


def test_a_budget_that_ended_ends_there_again(tmp_path: Path) -> None:
    run(tmp_path, budget="52")
    before = analytic.history(tmp_path)
    run(tmp_path)  # without a budget now: the end is recorded
    run(tmp_path, budget="1000")
    assert analytic.history(tmp_path) == before


@pytest.mark.parametrize("text", ["", "0", "8 hours", "-5", "nan", "1e3", "8x", "h"])
def test_what_is_no_budget_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wanted evaluations"):
        run(tmp_path, budget=text)


def test_a_budget_without_room_for_a_search_says_the_least(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"wanted (\d+) evaluations or more") as refused:
        run(tmp_path, budget="12")
    least = str(refused.value).split("wanted ")[1].split()[0]
    run(tmp_path / "least", budget=least)
    assert trainings(tmp_path / "least") <= int(least)


FORMULA = "3 * 1 * l2(unit_channel(max_pool_2(global)))"


def test_an_injection_joins_the_next_generation_and_every_replay(tmp_path: Path, plain: Path) -> None:
    work_dir = tmp_path / "run"
    listener = Hooked("divide 1", lambda: Inbox(work_dir).inject(FORMULA))
    run(work_dir, listener)
    with Store.open(work_dir, readonly=True) as store:
        (birth,) = [
            b for b in store.births() if "l2(unit_channel(max_pool_2(global)))" in b.text and b.stage == "divide"
        ]
    assert (birth.stage, birth.generation, birth.parents) == ("divide", 2, ())
    assert any(said.startswith("injected: ") for said in listener.said)
    assert Inbox(work_dir).injections() == {}
    before = analytic.history(work_dir)
    assert before != analytic.history(plain)
    assert verify(work_dir).differences == ()
    run(work_dir)
    assert analytic.history(work_dir) == before


def test_a_wish_whose_file_outlived_its_recording_is_granted_once(tmp_path: Path) -> None:
    """As after a kill between the commit and the removal of the file."""
    once, twice = tmp_path / "once", tmp_path / "twice"
    run(once, Hooked("divide 1", lambda: Inbox(once).inject(FORMULA)))
    with Store.open(once, readonly=True) as store:
        (name,) = (name for told in store.steerings() for name in told["injections"])

    def leave() -> None:
        (twice / "inbox").mkdir(exist_ok=True)
        (twice / "inbox" / name).write_text(json.dumps({"formula": FORMULA}))

    class Again(Hooked):
        def phase(self, phase: str, total: int, known: int, besides: int = 0) -> None:
            if phase in ("divide 1", "divide 2"):
                leave()

    run(twice, Again("", leave))
    assert analytic.history(twice) == analytic.history(once)


def test_a_broken_wish_is_named_and_costs_nothing(tmp_path: Path, plain: Path) -> None:
    work_dir = tmp_path / "run"

    def leave() -> None:
        Inbox(work_dir).inject("l2(globl)")
        for number, content in enumerate(["[1", '"x"', '{"formula": 3}', "[" * 100_000]):
            (work_dir / f"inbox/{number}.inject.json").write_text(content)

    listener = Hooked("divide 1", leave)
    run(work_dir, listener)
    assert any("did you mean 'global'" in said for said in listener.said)
    assert analytic.history(work_dir) == analytic.history(plain)


@pytest.mark.parametrize(("ahead", "phase"), [(0, "divide 1"), (1, "divide 2")])
def test_stop_pauses_and_the_same_call_goes_on(ahead: int, phase: str, tmp_path: Path) -> None:
    work_dir, whole = tmp_path / "run", tmp_path / "whole"
    run(whole, ahead=ahead)
    with pytest.raises(Stopped):
        run(work_dir, Hooked(phase, lambda: Inbox(work_dir).stop("pause")), ahead=ahead)
    assert generations(work_dir) == [("divide", 0)]
    told = read_status(work_dir)
    assert (told["state"], told["phase"], told["done"]) == ("stopped", phase, 1 - ahead)
    assert verify(work_dir).differences == ()
    assert not verify(work_dir).complete
    run(work_dir, ahead=ahead)
    assert analytic.history(work_dir) == analytic.history(whole)
    assert read_status(work_dir)["state"] == "finished"


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_final_stop_ends_the_search_and_judges(ahead: int, tmp_path: Path) -> None:
    work_dir = tmp_path / "run"
    outcome = run(work_dir, Hooked("divide 1", lambda: Inbox(work_dir).stop("final")), ahead=ahead)
    assert generations(work_dir) == [("divide", 0), ("divide", 1)]
    assert outcome.summary["best"]["gain"] is not None
    before = analytic.history(work_dir)
    run(work_dir, ahead=ahead)
    assert analytic.history(work_dir) == before
    assert verify(work_dir).complete


def test_a_wish_to_stop_an_earlier_run_is_forgotten(tmp_path: Path) -> None:
    Inbox(tmp_path).stop("final")
    run(tmp_path)
    assert len(generations(tmp_path)) == 7


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE scores SET ap = 0.999 WHERE position = 14", "statistics"),
        ("UPDATE births SET parents = '[]' WHERE generation = 2", "recorded is"),
        ("DELETE FROM births WHERE position = 9", "recorded are|recorded is"),
        ("UPDATE generations SET counts = '{}' WHERE number = 1", "divide 1: its counts"),
        ("INSERT INTO generations VALUES (99, 'divide', 9, '{}', '{}')", "divide 9 is recorded"),
    ],
)
def test_a_store_that_was_meddled_with_is_found_out(change: str, told: str, tmp_path: Path) -> None:
    run(tmp_path)
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        database.execute(change)
    (difference,) = verify(tmp_path).differences
    assert any(words in difference for words in told.split("|")), difference


def started(work_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(BENCHMARKS / "analytic.py"), str(work_dir), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, **pipes)


def wait_for_answers(work_dir: Path, count: int, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (work_dir / "store.sqlite").exists():
            try:
                if trainings(work_dir) >= count:
                    return
            except Exception:  # the store is just being made
                pass
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_what_is_at_work_finish(number: int, tmp_path: Path, plain: Path) -> None:
    process = started(tmp_path, "--executor", "local", "--milliseconds", "400", "--grace", "20")
    wait_for_answers(tmp_path, 8)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert "finishing what is at work, for at most 20 s" in said
    with Store.open(tmp_path, readonly=True) as store:
        assert store.events()[-1].detail == {"reason": "stopped in order"}
    run(tmp_path)
    assert analytic.history(tmp_path) == analytic.history(plain)


@pytest.mark.slow
def test_the_grace_period_ends_and_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    kinds = {"over": ("1", False), "twice": ("100", True)}
    running = {
        name: started(tmp_path / name, "--executor", "local", "--milliseconds", "20000", "--grace", grace)
        for name, (grace, _) in kinds.items()
    }
    for name, process in running.items():
        wait_for_answers(tmp_path / name, 5)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        if kinds[name][1]:
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        process.communicate(timeout=300)
        assert time.monotonic() - begun < 10


def test_what_explains_a_winner_is_charged_to_nobody(tmp_path: Path) -> None:
    experiment = analytic.make_experiment(tmp_path, analytic.Analytic(0.0), execution=SERIAL, budget="400")
    experiment.run()
    before, asked = read_status(tmp_path), trainings(tmp_path)
    with Store.open(tmp_path, readonly=True) as store:
        costs = store.costs()
    assert sum(experiment.explain(1).spent for _ in range(4)) == 4
    assert trainings(tmp_path) == asked + 4
    assert read_status(tmp_path) == before
    with Store.open(tmp_path) as store:
        assert store.costs() == costs
        with store.extra():
            store.record_event(EXPLAINING)
        assert read_status(tmp_path) == before | {"process": str(os.getpid())}
    experiment.run()
    assert trainings(tmp_path) == asked + 4
    assert read_status(tmp_path)["spent"] == before["spent"]


def test_costs_are_summed_by_kind(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        assert store.costs().trainings == 0
        store.record_score(Trial("teacher", 0, 0, test=True), Score(0.5, wall_seconds=100.0))
        for seed, seconds in enumerate((1.0, 3.0)):
            store.record_score(Trial("l2(global)", 10, seed), Score(0.5, wall_seconds=seconds))
        store.record_score(Trial("l2(global)", 10, 9, test=True), Score(0.5, 0.5, wall_seconds=6.0))
        store.record_score(Trial("l1(global)", 10, 0), Score.failed(NOT_BEGUN))
        costs = store.costs()
    assert (costs.trainings, costs.wall_seconds) == (3, 10.0)


def test_a_budget_that_is_spent_leaves_nothing_out_for_good(tmp_path: Path, plain: Path) -> None:
    work_dir = tmp_path / "run"
    with pytest.raises(Stopped):
        run(work_dir, Hooked("divide 1", lambda: Inbox(work_dir).stop("pause")))
    before = analytic.history(work_dir)
    with pytest.raises(
        ConfigError, match=r"counts what all sessions spend, and \d+ evaluations are spent; use --budget"
    ):
        run(work_dir, budget="5")
    assert analytic.history(work_dir) == before
    run(work_dir)
    assert analytic.history(work_dir) == analytic.history(plain)


@pytest.mark.parametrize("phase", ["teacher and students alone", "final round"])
def test_a_stop_is_obeyed_outside_of_generations_too(phase: str, tmp_path: Path, plain: Path) -> None:
    work_dir = tmp_path / "run"
    with pytest.raises(Stopped):
        run(work_dir, Hooked(phase, lambda: Inbox(work_dir).stop("pause")))
    assert read_status(work_dir)["state"] == "stopped"
    run(work_dir)
    assert analytic.history(work_dir) == analytic.history(plain)
