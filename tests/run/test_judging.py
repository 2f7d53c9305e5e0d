"""Whole runs whose many finalists race; no detector is needed for them."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from rich.console import Console

from detkds_gp.cli.tables import print_result
from detkds_gp.evaluation import Stopped
from detkds_gp.language import NONE
from detkds_gp.listener import Listener
from detkds_gp.primitives import DETKDS
from detkds_gp.report import collect, render_report
from detkds_gp.results import cuts, opened
from detkds_gp.run.verify import verify
from detkds_gp.score import Trial
from detkds_gp.steering import read_status
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_HELD, FINAL_RACED

from ..scripts import benchmark

analytic = benchmark("analytic")

RIVALS = {"one": "1 * calibrated * l2(unit_channel(global))", "other": "1 * calibrated * l1(class_logits)"}
VERDICT = {"seeds": (11, 12, 13, 14), "finalists": 8, "rivals": RIVALS, "share": 0.9, "tuning": 0}


def made(work_dir: Path, seconds: float = 0.0, **options: Any) -> Any:
    given = {"execution": {"executor": "serial"}, "verdict": VERDICT, "anchors": 0, **options}
    return analytic.make_experiment(work_dir, analytic.Analytic(seconds), 1, **given)


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raced")
    made(folder).run()
    return folder


def told(work_dir: Path) -> dict[str, Any]:
    with opened(work_dir) as summary:
        return summary.to_json()


def test_the_race_decides_and_other_seeds_judge(raced: Path) -> None:
    found = told(raced)
    final = found["final"]
    with Store.open(raced, readonly=True) as store:
        (racing,), (held,) = ([e.detail for e in store.events(kind)] for kind in (FINAL_RACED, FINAL_HELD))
        trained = Counter(r.trial.seed for r in store.scores() if r.trial.test and r.trial.distiller != NONE)

        def scores(text: str, seeds: list[int]) -> list[Any]:
            return [store.score(Trial(text, held["iterations"], seed, test=True)) for seed in seeds]

        aps = {one["text"]: scores(one["text"], held["race"]) for one in racing["finalists"]}
        alone = scores(NONE, held["seeds"])
    assert [trained[seed] for seed in racing["race"]] == racing["sizes"]
    assert [trained[seed] for seed in held["seeds"]] == [2] * len(held["seeds"])
    assert held["seeds"][:4] == [11, 12, 13, 14]
    assert len(held["seeds"]) > 4
    assert not set(held["seeds"]) & set(held["race"])
    assert sum(trained.values()) + len(held["seeds"]) - 4 <= 4 * len(racing["finalists"])
    whole = {text: fmean(s.ap for s in scores) for text, scores in aps.items() if None not in scores}
    winner, other = (one["text"] for one in held["finalists"])
    assert whole[winner] == max(whole.values())
    assert {bool(one["weighed"]) for one in held["finalists"]} == {True, False}
    assert other in whole
    assert found["best"]["gain"] is not None
    assert found["best"]["test_ap"] != []
    pairs = zip(found["best"]["test_ap"], (score.test_ap for score in alone), strict=True)
    assert found["best"]["gain"]["mean"] == pytest.approx(fmean(ours - theirs for ours, theirs in pairs))
    assert found["best"]["formula"] == final["finalists"][0]["formula"]
    assert verify(raced).differences == ()


def test_who_drops_out_is_told_with_all_that_is_known_of_it(raced: Path) -> None:
    final = told(raced)["final"]
    assert len(final["dropped"]) + len(final["finalists"]) == 13
    assert {len(one["seeds"]) for one in final["dropped"]} == {2, 3, 4}
    assert all(len(one["seeds"]) == len(one["selection_ap"]) == len(one["test_ap"]) for one in final["dropped"])
    run = collect(raced)
    rows = [(one.role, list(one.selection_aps), list(one.test_aps), one.lead) for one in run.dropped]
    for (role, selection, test, lead), row in zip(rows, final["dropped"], strict=True):
        assert role.startswith(row["role"])
        assert (selection, test) == (row["selection_ap"], row["test_ap"])
        assert lead is not None
        assert lead.to_json() == pytest.approx(row["lead"])
    assert run.winner.candidate.resolved == final["finalists"][0]["formula"]
    assert run.winner.gain.to_json() == told(raced)["best"]["gain"]
    console = Console(record=True, width=250)
    print_result(console, told(raced), raced)
    said = console.export_text()
    assert said.count("dropped out after") == 11
    assert "dropped out after 3 seeds; there the winner has 0.000 [0.000, 0.000]" in said
    assert "who wins was decided on 4 other seeds" in said
    page = render_report(run, DETKDS)
    assert page.count("dropped out after") == 11
    assert "Over the published loss" in page
    status = read_status(raced)
    assert (status["phase"], status["done"]) == ("final round", status["total"])


@pytest.mark.parametrize("at", [3, 15, 30, 44])
def test_a_race_that_was_killed_ends_as_if_it_was_not(at: int, raced: Path, tmp_path: Path) -> None:
    class Stopping(Listener):
        heard = 0
        final = False

        def phase(self, name: str, *counts: Any) -> None:
            self.final = name == "final round"

        def answered(self, niche: str, score: Any) -> None:
            self.heard += self.final
            if self.heard == at:
                raise Stopped("here")

    with pytest.raises(Stopped):
        made(tmp_path).run(Stopping())
    assert read_status(tmp_path)["phase"] == "final round"
    made(tmp_path).run()
    assert analytic.history(tmp_path) == analytic.history(raced)
    left, right = told(tmp_path), told(raced)
    assert left["final"] == right["final"]
    assert left["best"] == right["best"]


def test_a_budget_holds_with_a_race(tmp_path: Path) -> None:
    made(tmp_path, budget="120").run()
    with Store.open(tmp_path, readonly=True) as store:
        assert store.costs().trainings <= 120
        assert len(store.events(FINAL_HELD)) == 1


@pytest.mark.slow
def test_a_race_leaves_time_to_judge_where_the_machine_became_slow(tmp_path: Path) -> None:
    began = time.time()
    worker = analytic.Analytic(0.1, loaded=(began + 5, 1e99))
    options = {"execution": {"executor": "serial"}, "verdict": VERDICT, "anchors": 0, "budget": "16s"}
    analytic.make_experiment(tmp_path, worker, 1, **options).run(began=began)
    assert time.time() - began < 1.05 * 16
    with opened(tmp_path) as summary:
        assert len(summary.verdict.complete_seeds(summary.verdict.finalists)) >= 2
        assert summary.to_json()["best"]["gain"] is not None
    with Store.open(tmp_path, readonly=True) as store:
        assert cuts(store)
