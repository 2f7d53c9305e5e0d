from __future__ import annotations

import sqlite3
from pathlib import Path
from statistics import fmean

import pytest

from detkds_gp.errors import StoreError
from detkds_gp.experiment import Outcome
from detkds_gp.experiment.summary import opened
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.report import Run, collect, render_report
from detkds_gp.report.figures import pareto_front, progress
from detkds_gp.report.genealogy import genealogy
from detkds_gp.report.outline import diversity, outline
from detkds_gp.report.run import FinalRound
from detkds_gp.report.search_tables import losses, niches, rungs
from detkds_gp.report.verdict import verdict
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store


def copied(source: Path, target: Path) -> None:
    with sqlite3.connect(source / "store.sqlite") as store, sqlite3.connect(target / "store.sqlite") as copy:
        store.backup(copy)


def test_a_report_says_what_show_says(finished: Outcome) -> None:
    run = collect(finished.work_dir)
    with opened(finished.work_dir) as summary:
        told, ranking = summary.to_json(), summary.ranking()
    assert run.state == "finished"
    assert run.winner is not None
    assert [candidate.text for candidate in run.ranking] == [ranked.text for ranked in ranking]
    assert run.winner.candidate.resolved == told["best"]["formula"]
    assert {n: j.candidate.resolved for n, j in run.champions.items()} == {
        n: found["formula"] for n, found in told["niches"].items()
    }
    assert list(run.final.seeds) == told["final"]["seeds"]
    assert (run.final.iterations, run.final.reduced) == (told["final"]["iterations"], told["final"]["reduced"])
    assert [
        (one.role, one.candidate.resolved, list(one.selection_aps), list(one.test_aps)) for one in run.finalists
    ] == [(row["role"], row["formula"], row["selection_ap"], row["test_ap"]) for row in told["final"]["finalists"]]
    assert list(run.winner.test_aps) == told["best"]["test_ap"]
    assert run.winner.gain is not None
    assert run.winner.gain.to_json() == told["best"]["gain"]
    assert list(run.references.alone_selection) == told["baseline"]["selection_ap"]
    assert run.references.teacher_test == told["teacher"]["test_ap"]
    assert {n: j.candidate.ap for n, j in run.champions.items()} == {
        n: found["selection_ap"] for n, found in told["niches"].items()
    }


def test_what_is_odd_does_not_part_a_report_from_show(small: Path, tmp_path: Path) -> None:
    copied(small, tmp_path)
    before = collect(small)
    mixed = "1 * calibrated * l2(global) + 3 * calibrated * l2(class_map)"
    with Store.open(tmp_path) as store:
        store.record_birth(mixed, "divide", "global", 0, ())  # a warm start of two terms
        store.record_score(Trial(mixed, 100, 0), Score(0.9), mixed.replace("calibrated", "0.5"))
        store.record_score(Trial(before.ranking[3].text, 400, 0), Score(0.95), before.ranking[3].resolved)
    run = collect(tmp_path)
    with opened(tmp_path) as summary:
        ranking = summary.ranking()
        winner, champions = summary.winner(ranking), summary.champions(ranking)
    assert [candidate.text for candidate in run.ranking] == [ranked.text for ranked in ranking]
    assert run.winner is not None
    assert winner is not None
    assert run.winner.candidate.text == winner.text
    assert {n: j.candidate.text for n, j in run.champions.items()} == {n: one.text for n, one in champions.items()}


def test_an_outline_agrees_with_the_parser(run: Run) -> None:
    for candidate in run.candidates:
        distiller = parse_distiller(candidate.text, DETKDS)
        assert candidate.operations == distiller.cost
        terms = outline(candidate.text)
        assert [term.weight for term in terms] == [term.weight for term in distiller.terms]
        assert [term.formula for term in terms] == [term.formula for term in distiller.terms]


def test_diversity_counts_what_is_shared() -> None:
    same = "1 * calibrated * l2(unit_channel(global))"
    assert diversity([same, same]) == 0.5
    assert diversity([same, "1 * calibrated * l1(unit_channel(global))"]) == 0.75
    assert diversity([]) is None


def test_an_unfinished_run_is_read(made_run, tmp_path: Path) -> None:
    made_run.make_run(tmp_path, 20, judged=False)
    run = collect(tmp_path)
    assert run.state == "stopped"
    assert run.winner is not None
    assert run.winner.gain is None
    found = verdict(run)
    assert found.sort == "open"
    assert "same command continues" in found.text


def test_nothing_started_is_said(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        pass
    with pytest.raises(StoreError, match="gp_search run"):
        collect(tmp_path)


def test_the_front_is_that_of_all_pairs(run: Run) -> None:
    def beaten(one, other) -> bool:
        return (
            other.ap >= one.ap
            and other.operations <= one.operations
            and (other.ap, -other.operations) != (one.ap, -one.operations)
        )

    best = {(c.ap, c.operations) for c in run.ranking if not any(beaten(c, other) for other in run.ranking)}
    assert {(c.ap, c.operations) for c in pareto_front(run.ranking)} == best


def test_ancestors_are_all_that_parents_lead_to(run: Run) -> None:
    known = {candidate.text: candidate for candidate in run.candidates}
    assert run.winner is not None

    def above(text: str) -> set[str]:
        return {text}.union(*(above(parent) for parent in known[text].birth.parents if parent in known))

    found = genealogy(run.winner.candidate, known, shown=10_000)
    assert {ancestor.candidate.text for ancestor in found.ancestors} == above(run.winner.candidate.text)
    assert found.ancestors[-1].candidate == run.winner.candidate
    for parent, child in found.edges:
        assert found.ancestors[parent].column <= found.ancestors[child].column
    cut = genealogy(run.winner.candidate, known, shown=2)
    assert (len(cut.ancestors), cut.left_out) == (2, len(found.ancestors) - 2)


def test_best_so_far_never_falls_and_ends_at_the_best(run: Run) -> None:
    lines = [trace for trace in progress(run)["data"] if trace["mode"] == "lines"]
    assert max(trace["y"][-1] for trace in lines) == run.ranking[0].ap
    for trace in lines:
        assert trace["y"] == sorted(trace["y"])
        assert trace["x"] == sorted(trace["x"])
        assert trace["hours"] == sorted(trace["hours"])


def test_failures_are_counted_by_reason(run: Run) -> None:
    counts = {row.reason: row.count for row in losses(run)}
    assert sum(counts.values()) == run.counts["failed"] + run.counts["rejected"]
    assert counts.get("rejected:gradient", 0) == run.counts["rejected"]
    assert sum(row.asked for row in niches(run)) == len(run.answered)


def test_rungs_are_told_apart_and_a_whole_training_decides(small: Path, tmp_path: Path) -> None:
    copied(small, tmp_path)
    before = collect(small)
    with Store.open(tmp_path) as store:
        for candidate in before.ranking[5:15]:
            store.record_score(Trial(candidate.text, 50, 0), Score((candidate.ap or 0) / 2), candidate.resolved)
        stopped = "3 * calibrated * l2(global)"
        store.record_birth(stopped, "divide", "global", 0, ())
        store.record_score(Trial(stopped, 50, 0), Score(0.9), stopped.replace("calibrated", "0.5"))
    run = collect(tmp_path)
    first, second = rungs(run)
    assert (first.iterations, second.iterations, first.asked) == (50, 100, 11)
    assert second.agreement == pytest.approx(1.0)
    assert [candidate.text for candidate in run.ranking] == [candidate.text for candidate in before.ranking]
    assert [candidate.text for candidate in run.left_on_rungs] == [stopped]
    lines = [trace for trace in progress(run)["data"] if trace["mode"] == "lines"]
    assert max(trace["y"][-1] for trace in lines) == run.ranking[0].ap


def test_the_comparison_is_told_as_it_was_planned(made_run, tmp_path: Path) -> None:
    made_run.make_run(tmp_path, 20, judged=False)
    reduced = "the final round has 3 seeds instead of 4, to fit into 30% of the training"
    with Store.open(tmp_path) as store:
        detail = {"seeds": [1001, 1002, 1003], "iterations": 175, "reduced": reduced, "finalists": []}
        store.record_event("final round", **detail)
    run = collect(tmp_path)
    assert run.final == FinalRound((1001, 1002, 1003), 175, reduced)
    html = render_report(run, DETKDS)
    made = html[html.index('<section id="made">') :]
    assert "3 seeds<small>175 iterations each" in made
    assert reduced in made


def test_the_gap_is_the_share_of_the_way(run: Run) -> None:
    found, references = verdict(run), run.references
    assert found.gap is not None
    assert run.winner is not None
    alone = fmean(ap for ap in references.alone_test if ap is not None)
    ours = fmean(ap for ap in run.winner.test_aps if ap is not None)
    assert found.gap.mean == pytest.approx((ours - alone) / ((references.teacher_test or 0) - alone))
