from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detkds_gp.cli.steer import status_lines
from detkds_gp.run import Outcome
from detkds_gp.steering import Inbox
from detkds_gp.store import Store

GpSearch = Callable[..., Any]


def change(work_dir: Path, statement: str) -> None:
    with sqlite3.connect(work_dir / "store.sqlite") as database:
        database.execute(statement)


def test_verify_confirms_a_real_run_and_finds_what_was_changed(gp_search: GpSearch, copied: Path) -> None:
    ended = gp_search("verify", copied)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("4 generations, ")
    assert "all as recorded" in ended.out
    change(copied, "UPDATE births SET niche = 'elsewhere' WHERE position = 1")
    ended = gp_search("verify", copied)
    assert ended.code == 2
    assert "problem: divide 0: asks" in ended.err


def test_store_check_tells_sound_from_damaged(gp_search: GpSearch, copied: Path, tmp_path: Path) -> None:
    ended = gp_search("store", "check", copied)
    assert ended.code == 0, ended.err
    assert "is sound: " in ended.out
    change(copied, "UPDATE scores SET ap = 7 WHERE position = 3")
    ended = gp_search("store", "check", copied)
    assert ended.code == 2
    assert "problem: scores: an AP lies in [0, 1]" in ended.err
    file = copied / "store.sqlite"
    file.write_bytes(file.read_bytes()[:5000])
    assert gp_search("store", "check", copied).code == 2
    assert "holds no store.sqlite" in gp_search("store", "check", tmp_path / "nothing").err


def test_status_of_a_finished_run(gp_search: GpSearch, copied: Path, finished: Outcome) -> None:
    told = json.loads(gp_search("status", copied, "--json").out)
    assert (told["state"], told["process"], told["eta_seconds"]) == ("finished", None, 0.0)
    assert told["trained"] == finished.summary["counts"]["trained"]
    with Store.open(copied, readonly=True) as store:
        searched = {birth.text for birth in store.births()}
        aps = [r.score.ap or 0.0 for r in store.scores() if r.trial.distiller in searched and not r.trial.test]
    assert max(told["best"].values()) == max(aps)
    assert gp_search("status", copied, "--watch").out.startswith("finished: final round, ")


def test_status_says_everything_in_words() -> None:
    told = {
        "state": "running", "process": "17", "phase": "divide 1", "done": 3, "total": 8, "trained": 10, "failed": 1,
        "screening": {"screened": 21, "same": 4, "rejected": {"gradient": 1, "zero": 2}},
        "best": {"global": 0.25}, "elapsed_seconds": 7200, "eta_seconds": None, "idle_share": 0.031, "budget": "8h",
        "spent": "2.0 h", "waiting": ["1 * l2(global)"], "noise": "a difference of 0.010 is two to one",
    }  # fmt: skip
    assert status_lines(told) == [
        "running (process 17): divide 1, 3 of 8 trained",
        "search: 10 trained, 1 failed; 2.0 h at work, unknown time left",
        "formulas screened: 21; rejected: 1 gradient, 2 zero; 4 the same loss as another",
        "best of global: 0.250 (selection)",
        "workers idle: 3.1%",
        "scores: a difference of 0.010 is two to one",
        "budget: 2.0 h of 8h",
        "waits for the next generation: 1 * l2(global)",
    ]


def test_injections_are_checked_before_they_are_left(gp_search: GpSearch, copied: Path) -> None:
    ended = gp_search("inject", copied, "2 * l2(unit_channel(global))")
    assert ended.out == "joins the next generation, once the run goes on: 2 * 1 * l2(unit_channel(global))\n"
    assert list(Inbox(copied).injections().values()) == ["2 * 1 * l2(unit_channel(global))"]
    assert "did you mean 'global'" in gp_search("inject", copied, "l2(globl)").err
    assert len(Inbox(copied).injections()) == 1
    assert gp_search("inject", copied, "l1(global)").out.endswith(": 1 * calibrated * l1(global)\n")


def test_only_a_run_at_work_can_be_stopped(gp_search: GpSearch, copied: Path) -> None:
    assert "nothing to stop" in gp_search("stop", copied).err
    with Store.open(copied):
        assert "stops when what is at work is finished" in gp_search("stop", copied).out
    assert Inbox(copied).stop_command() == "pause"


def test_new_starts_in_a_numbered_sibling(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    command = ("run", tiny_config, "--work-dir", tmp_path / "run", "--new", "--budget", "nonsense")
    assert "budget is 'nonsense'" in gp_search(*command).err
    assert (tmp_path / "run-2").is_dir()
    assert sys.argv[-2:] == ["--work-dir", str(tmp_path / "run-2")]
    assert "--new" not in sys.argv
    assert gp_search(*command).code == 2
    assert (tmp_path / "run-3").is_dir()
    assert list((tmp_path / "run").iterdir()) == []
