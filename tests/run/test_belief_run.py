"""A whole run whose strategy has a belief: recorded, shown, continued and verified like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from detkds_gp.cli.app import app
from detkds_gp.report.collect import collect
from detkds_gp.report.page import render_report
from detkds_gp.report.search_tables import foresight
from detkds_gp.results import expected_aps, opened
from detkds_gp.run.verify import verify
from detkds_gp.store import Store

from ..scripts import benchmark

analytic = benchmark("analytic")


def run(work_dir: Path, **options: Any) -> Any:
    given = {"execution": {"executor": "serial"}, "strategy": "belief", **options}
    return analytic.make_experiment(work_dir, analytic.Analytic(0.0), **given).run()


def test_what_is_expected_decides_and_stands_beside_the_aps(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    with Store.open(tmp_path, readonly=True) as store:
        expected = expected_aps(store)
        generations = store.generations()
    assert len(expected) == len(outcome.hall_of_fame)
    foreseen = [row for one in generations for niche in one.statistics["niches"] for row in niche.get("foreseen", ())]
    assert len(foreseen) > 10
    leader = outcome.hall_of_fame[0]
    assert outcome.summary["final"]["finalists"][0]["formula"].count("*") > 0
    shown = CliRunner().invoke(app, ["show", str(tmp_path), "--top", "3"])
    assert shown.exit_code == 0, shown.output
    first = next(line for line in shown.output.splitlines() if line.startswith("  1  "))
    assert f"{leader.fitness.values[0]:.4f}±" in first


def test_the_report_says_how_well_it_foresaw(tmp_path: Path) -> None:
    run(tmp_path)
    collected = collect(tmp_path)
    told = foresight(collected)
    assert told is not None
    assert told.count > 10
    assert told.inside is None or told.inside <= told.count
    with opened(tmp_path) as summary:
        page = render_report(collected, summary.primitive_set)
    assert f"Of {told.count} trainings it foresaw the AP to" in page
    best = collected.ranking[0]
    assert best.expected is not None
    assert f"{best.expected.ap:.3f} ± {best.expected.deviation:.3f}" in page
    expected = told_expected(tmp_path)
    ranked = sorted(expected, key=lambda text: -expected[text].ap)
    assert [one.text for one in collected.ranking if one.expected][:3] == ranked[:3]


def test_evolution_foresees_nothing_and_is_led_by_the_highest_ap(tmp_path: Path) -> None:
    outcome = run(tmp_path, strategy="evolution")
    assert foresight(collect(tmp_path)) is None
    with Store.open(tmp_path, readonly=True) as store:
        searched = {birth.text for birth in store.births()}
        aps = [r.score.ap or 0.0 for r in store.scores() if r.trial.distiller in searched and not r.trial.test]
    assert outcome.hall_of_fame[0].fitness.values[0] == max(aps)


def told_expected(work_dir: Path) -> Any:
    with Store.open(work_dir, readonly=True) as store:
        return expected_aps(store)


def test_it_repeats_and_verifies(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two")
    assert analytic.history(tmp_path / "one") == analytic.history(tmp_path / "two")
    found = verify(tmp_path / "one")
    assert (found.differences, found.complete) == ((), True)


def test_a_budget_cuts_it(tmp_path: Path) -> None:
    run(tmp_path, budget="40")
    with Store.open(tmp_path, readonly=True) as store:
        assert store.costs().trainings <= 40
    assert verify(tmp_path).differences == ()
