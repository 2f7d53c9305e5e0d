"""What `gp_search show` and the end of a run print."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

from rich.console import Console

from detkds_gp.cli.tables import print_result
from detkds_gp.primitives import DETKDS
from detkds_gp.report import collect, render_report
from detkds_gp.results import opened

from ..scripts import benchmark


def printed(work_dir: Path) -> str:
    told = io.StringIO()
    with opened(work_dir) as summary:
        print_result(Console(file=told, width=200), summary.to_json(), work_dir)
    return told.getvalue()


def test_a_finalist_without_a_gain_says_that_a_training_failed(tmp_path: Path) -> None:
    benchmark("made_run").make_run(tmp_path, 20)
    with sqlite3.connect(tmp_path / "store.sqlite") as store:
        ((other, seed), *_) = store.execute(
            "SELECT distiller, seed FROM scores WHERE test AND distiller NOT IN ('none', 'teacher') ORDER BY ap"
        ).fetchall()
        failed = "UPDATE scores SET ap = NULL, test_ap = NULL, failure = 'out_of_memory'"
        store.execute(f"{failed} WHERE distiller = ? AND seed = ? AND test", (other, seed))
    assert "none: 1 of 4 trainings failed (out_of_memory)" in printed(tmp_path)
    assert "1 of 4 trainings failed: out_of_memory" in render_report(collect(tmp_path), DETKDS)


def test_the_best_is_the_leader_until_the_final_round_has_chosen_the_winner(tmp_path: Path) -> None:
    made = benchmark("made_run")
    made.make_run(tmp_path / "judged", 20)
    made.make_run(tmp_path / "open", 20, judged=False)
    assert "\nwinner: " in printed(tmp_path / "judged")
    assert "\nleader: " in printed(tmp_path / "open")
    assert "winner" not in printed(tmp_path / "open")
