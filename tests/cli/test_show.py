"""What `gp_search show` prints, and the JSON that it promises."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.run import Outcome
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_HELD

from .conftest import GpSearch, mistake


def forget(work_dir: Path, where: str, table: str = "scores") -> None:
    with sqlite3.connect(work_dir / "store.sqlite") as database:
        database.execute(f"DELETE FROM {table} WHERE {where}")


def test_show_json_keeps_its_contract(gp_search: GpSearch, finished: Outcome) -> None:
    ended = gp_search("show", finished.work_dir, "--json")
    assert ended.code == 0
    shown = json.loads(ended.out)
    assert list(shown) == [
        "teacher",
        "baseline",
        "noise",
        "best",
        "niches",
        "final",
        "cut",
        "counts",
        "screening",
        "wall_seconds",
    ]
    assert {"test_ap", "selection_ap"} == set(shown["teacher"])
    assert {"test_ap", "selection_ap"} == set(shown["baseline"])
    assert shown["noise"]["count"] > 3
    assert shown["noise"]["luck"] >= 0
    best = shown["best"]
    gained = {"test_ap", "gain", "selection_gain", "optimism"}
    assert set(best) == {"formula", "terms", "standing", "selection_ap", *gained}
    assert best["optimism"] == pytest.approx(best["selection_gain"]["mean"] - best["gain"]["mean"])
    final = shown["final"]
    assert set(final) == {"seeds", "iterations", "reduced", "alone", "finalists", "race", "lead", "dropped"}
    assert final["alone"]["test_ap"] == shown["baseline"]["test_ap"]
    weighing = {"weighed", "weight", "failures", "training_time"}
    assert all(set(row) == {"role", "formula", "selection_ap", *weighing, *gained} for row in final["finalists"])
    for row in final["finalists"]:
        rival = row["role"] in ("PKD", "MGD", "CWD", "logits")
        assert bool(row["weighed"]) == rival
        assert (row["weight"] is not None) == rival
        assert not rival or re.fullmatch(r"paper's weight.*|tuned to [\d.e+-]+, \d+ trainings", row["weighed"])
    assert [row["role"] for row in final["finalists"]][:1] == ["leader"]
    assert {"PKD", "MGD", "CWD", "logits"} <= {row["role"] for row in final["finalists"]}
    means = {row["formula"]: np.mean(row["selection_ap"]) for row in final["finalists"]}
    assert best["formula"] == max(means, key=means.__getitem__)
    assert all(set(term) == {"knowledge", "weight", "scale", "tree"} for term in best["terms"])
    assert set(best["gain"]) == {"mean", "low", "high"}
    assert set(shown["niches"]) <= {"global", "class_logits"}
    assert all({"formula", "selection_ap"} <= set(niche) for niche in shown["niches"].values())
    assert set(shown["counts"]) == {"generated", "duplicates", "rejected", "trained", "failed"}
    assert all(seconds >= 0 for seconds in shown["wall_seconds"].values())
    assert [len(shown["baseline"]["test_ap"]), len(best["test_ap"])] == [2, 2]
    assert len(shown["baseline"]["selection_ap"]) == 3
    aps = [shown["teacher"]["test_ap"], *best["test_ap"], *shown["baseline"]["test_ap"]]
    aps += [row["selection_ap"] for row in (best, *shown["niches"].values()) if row["selection_ap"] is not None]
    assert all(0 <= ap <= 1 for ap in aps)
    wanted = stats.ttest_rel(best["test_ap"], shown["baseline"]["test_ap"]).confidence_interval(0.95)
    assert [best["gain"]["low"], best["gain"]["high"]] == pytest.approx([wanted.low, wanted.high])
    difference = np.subtract(best["test_ap"], shown["baseline"]["test_ap"]).mean()
    assert best["gain"]["mean"] == pytest.approx(difference)
    assert parse_distiller(best["formula"], DETKDS).to_json()["terms"] == best["terms"]
    assert shown == json.loads(json.dumps(finished.summary)) | {"wall_seconds": shown["wall_seconds"]}


def test_show_prints_the_table_and_the_ranking(gp_search: GpSearch, finished: Outcome) -> None:
    ended = gp_search("show", finished.work_dir, "--top", "2")
    assert ended.code == 0
    for words in ("teacher", "student alone", "best of global", "winner", "the interval of the gain", "final round: 3"):
        assert words in ended.out
    ranked = [line.split(maxsplit=3) for line in ended.out.splitlines() if line.startswith("  ") and " * " in line]
    assert [row[0] for row in ranked] == ["1", "2"]
    assert ranked[0][3] == finished.summary["final"]["finalists"][0]["formula"]
    first, second = (float(expected.split("±")[0]) for _, _, expected, _ in ranked)
    assert first >= second


def test_no_gain_is_told_before_everyone_is_judged(gp_search: GpSearch, copied: Path) -> None:
    with Store.open(copied, readonly=True) as store:
        last = store.events(FINAL_HELD)[0].detail["finalists"][-1]["text"]
    forget(copied, f"test AND distiller = '{last}'")
    shown = json.loads(gp_search("show", copied, "--json").out)
    assert len(shown["best"]["test_ap"]) == 2
    assert all(row["gain"] is None for row in (shown["best"], *shown["final"]["finalists"]))
    told = gp_search("show", copied).out
    assert "no verdict" in told
    assert "winner" not in told


def test_show_of_a_run_without_its_verdict(gp_search: GpSearch, copied: Path, finished: Outcome) -> None:
    forget(copied, "test AND distiller NOT IN ('teacher', 'none')")
    shown = json.loads(gp_search("show", copied, "--json").out)
    leader = finished.summary["final"]["finalists"][0]
    assert shown["best"]["formula"] == leader["formula"]  # until all are judged
    assert (shown["best"]["test_ap"], shown["best"]["gain"]) == ([], None)
    assert "no verdict" in gp_search("show", copied).out


def test_show_of_a_run_with_a_failed_verdict(gp_search: GpSearch, copied: Path) -> None:
    best = json.loads(gp_search("show", copied, "--json").out)["final"]["finalists"][0]
    with sqlite3.connect(copied / "store.sqlite") as database:
        row = "test AND seed = 11 AND distiller NOT IN ('teacher', 'none')"
        database.execute(f"UPDATE scores SET ap = NULL, test_ap = NULL, failure = 'diverged' WHERE {row}")
    shown = json.loads(gp_search("show", copied, "--json").out)["best"]
    assert shown["test_ap"] == [None, best["test_ap"][1]]
    assert shown["gain"] is None
    assert "no verdict" in gp_search("show", copied).out


def test_show_of_a_run_that_has_just_begun(gp_search: GpSearch, copied: Path) -> None:
    for table in ("scores", "births", "generations", "scales"):
        forget(copied, "1", table)
    shown = json.loads(gp_search("show", copied, "--json").out)
    assert shown["best"] is None
    assert shown["baseline"] == {"test_ap": [], "selection_ap": []}
    assert shown["noise"] is None
    assert shown["teacher"] == {"test_ap": None, "selection_ap": None}
    assert set(shown["counts"].values()) == {0}
    assert gp_search("show", copied).code == 0


def test_show_counts_what_an_unfinished_generation_has(gp_search: GpSearch, copied: Path) -> None:
    whole = json.loads(gp_search("show", copied, "--json").out)["counts"]
    forget(copied, "1", "generations")
    counts = json.loads(gp_search("show", copied, "--json").out)["counts"]
    assert (counts["trained"], counts["failed"]) == (whole["trained"], whole["failed"])
    assert counts["generated"] == counts["trained"] + counts["failed"] > 0


def test_show_of_no_run(gp_search: GpSearch, tmp_path: Path) -> None:
    assert "holds no store.sqlite" in mistake(gp_search("show", tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()
    Store.open(tmp_path / "empty").close()
    assert "holds no experiment yet" in mistake(gp_search("show", tmp_path / "empty"))
