from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from detkds_gp.errors import StoreError
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.report import Run, collect, render_report
from detkds_gp.report.figures import pareto_front, progress
from detkds_gp.report.genealogy import genealogy, given, how_made
from detkds_gp.report.outline import diversity, outline
from detkds_gp.report.search_tables import losses, niches, rungs
from detkds_gp.report.verdict import verdict
from detkds_gp.results import opened
from detkds_gp.run import Outcome
from detkds_gp.score import Scale, Score, Screening, Trial
from detkds_gp.store import Store
from detkds_gp.store.events import EXPLAINED, EXPLAINING, FINAL_HELD, FINAL_PLANNED


def copied(source: Path, target: Path) -> None:
    with sqlite3.connect(source / "store.sqlite") as store, sqlite3.connect(target / "store.sqlite") as copy:
        store.backup(copy)


def test_a_formula_at_another_weight_knows_its_relative(run: Run) -> None:
    bred = [c for c in run.ranking if c.birth.stage == "divide" and len(c.birth.parents) == 1]
    told = {c.text: how_made(c, {}) == "its parent's formula at another weight" for c in bred}
    for candidate in bred:
        tree, theirs = (
            parse_distiller(t, DETKDS).terms[0].formula for t in (candidate.text, candidate.birth.parents[0])
        )
        assert told[candidate.text] == (tree == theirs)
    assert any(told.values())


def titled(row: dict[str, Any]) -> str:
    """The role, and of a rival which weight it has and why."""
    return f"{row['role']} ({row['weighed']})" if row["weighed"] else row["role"]


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
    assert list(run.seeds) == told["final"]["seeds"]
    assert run.length == told["final"]["iterations"]
    assert [
        (one.role, one.candidate.resolved, list(one.selection_aps), list(one.test_aps)) for one in run.finalists
    ] == [(titled(row), row["formula"], row["selection_ap"], row["test_ap"]) for row in told["final"]["finalists"]]
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
    with Store.open(tmp_path) as store:
        assert collect(tmp_path).state == "running"
        with store.extra():
            store.record_event(EXPLAINING)
        assert collect(tmp_path).state == "stopped"
    assert run.winner is not None
    assert run.winner.gain is None
    found = verdict(run)
    assert found.sort == "open"
    assert "same command continues" in found.text


def test_what_is_not_judged_yet_is_not_called_the_winner(made_run, tmp_path: Path, run: Run) -> None:
    made_run.make_run(tmp_path, 20, judged=False)
    html = render_report(collect(tmp_path), DETKDS)
    assert "The leader" in html
    assert "The winner" not in html
    assert "Where the leader comes from" in html
    assert "with the leader" in {mark.name for mark in verdict(collect(tmp_path)).marks}
    assert "with the winner" in {mark.name for mark in verdict(run).marks}


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

    found = genealogy(run.winner.candidate, known, {}, shown=10_000)
    assert {ancestor.candidate.text for ancestor in found.ancestors} == above(run.winner.candidate.text)
    assert found.ancestors[-1].candidate == run.winner.candidate
    for parent, child in found.edges:
        assert found.ancestors[parent].column <= found.ancestors[child].column
    cut = genealogy(run.winner.candidate, known, {}, shown=2)
    assert (len(cut.ancestors), cut.left_out) == (2, len(found.ancestors) - 2)


def test_a_formula_without_parents_was_given_or_grown(run: Run) -> None:
    grown = next(c for c in run.candidates if not c.birth.parents)
    (term,) = outline(grown.text)
    started = {"search": {**run.config["search"], "warm_start": [term.formula]}}
    told = given(replace(run, fingerprint={"config": run.config | started}), DETKDS)
    assert how_made(grown, told) == "given in search.warm_start"
    assert how_made(grown, given(replace(run, injected=(grown.text,)), DETKDS)) == "given by gp_search inject"
    assert how_made(grown, given(run, DETKDS)) == "grown at random"


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


def test_what_was_not_trained_to_the_end_is_said_in_words(small: Path, tmp_path: Path) -> None:
    copied(small, tmp_path)
    stopped = collect(small).ranking[-1]
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        database.execute("UPDATE scores SET iterations = 50 WHERE distiller = ?", (stopped.text,))
    with Store.open(tmp_path) as store:
        store.record_screening("l2(one)", Screening("rejected:zero", "the loss is not zero (0.3 where it should be)"))
        store.record_screening("l2(two)", Screening("rejected:zero", "the loss is not zero (0.7 where it should be)"))
        store.record_screening("l2(three)", Screening("shape", "3 and 7"))
        store.record_screening("l2(four)", Screening(fingerprint="f"))
    run = collect(tmp_path)
    rows = {row.reason: row for row in losses(run)}
    assert rows["rejected:zero"].words == "not worth a training: the loss is not zero"
    assert (rows["rejected:zero"].count, rows["rejected:zero"].example) == (2, "l2(one)")
    assert rows["shape"].words == "tensors do not fit each other"
    assert rows["rejected:rung"].words == "stopped on a rung: not among the best of its knowledge"
    assert (rows["rejected:rung"].count, rows["rejected:rung"].example) == (1, stopped.text)
    html = render_report(run, DETKDS)
    assert "rejected:" not in html
    for row in rows.values():
        assert row.words in html


def test_what_explains_a_winner_is_no_cost_of_the_run(small: Path, tmp_path: Path) -> None:
    copied(small, tmp_path)
    before = collect(tmp_path)
    assert before.winner is not None
    winner = before.winner.candidate.text
    with Store.open(tmp_path) as store, store.extra():
        store.record_event(EXPLAINING, winner=winner)
        plan = store.events(FINAL_PLANNED)[0].detail
        text = "1 * calibrated * l1(unit_space(global))"
        store.record_scale("l1(unit_space(global))", Scale(2.0, wall_seconds=70.0))
        store.record_score(Trial(text, plan["iterations"], plan["seeds"][0], test=True), Score(0.3, 0.3))
        parts = [{"kind": "term", "removed": "x", "left": "", "distiller": one} for one in (text, winner)]
        store.record_event(EXPLAINED, winner=winner, ablations=parts, pictures={})
    run = collect(tmp_path)
    assert (run.training_hours, run.hours) == (before.training_hours, before.hours)
    assert run.explanation is not None
    assert [row.pairs for row in run.explanation.ablations] in ([4, 1], [1, 4])


def test_nothing_is_said_of_the_final_round_before_its_plan_is_recorded(tmp_path: Path, small: Path) -> None:
    copied(small, tmp_path)
    assert len(collect(tmp_path).references.alone_test) == 4
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        database.execute("DELETE FROM events WHERE kind IN (?, ?)", (FINAL_PLANNED, FINAL_HELD))
        database.execute("UPDATE scores SET iterations = 100 WHERE test AND iterations > 0")
    assert collect(tmp_path).references.alone_test == ()


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
    assert (run.seeds, run.length) == ((1001, 1002, 1003), 175)
    html = render_report(run, DETKDS)
    made = html[html.index('<section id="made">') :]
    assert "3 seeds<small>175 iterations each" in made
    assert html.count(reduced) == 1


def test_the_gap_is_the_share_of_the_way(run: Run) -> None:
    found, references = verdict(run), run.references
    assert found.gap is not None
    assert run.winner is not None
    alone = fmean(ap for ap in references.alone_test if ap is not None)
    ours = fmean(ap for ap in run.winner.test_aps if ap is not None)
    assert found.gap.mean == pytest.approx((ours - alone) / ((references.teacher_test or 0) - alone))
