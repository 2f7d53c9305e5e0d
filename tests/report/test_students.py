"""What a report shows of students beside their AP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detkds_gp.primitives import DETKDS
from detkds_gp.report import Run, collect, render_report
from detkds_gp.report.students import Student, curve_figures, judged_students
from detkds_gp.report.trainings import render_trainings
from detkds_gp.run import Outcome
from detkds_gp.store import Store
from detkds_gp.store.events import details


def test_the_final_rounds_students_are_told_as_their_trainings_were(finished: Outcome) -> None:
    run = collect(finished.work_dir)
    teacher, winner, alone, *others = judged_students(run)
    assert [one.sort for one in (teacher, winner, alone)] == ["teacher", "winner", "alone"]
    assert len(others) == len(run.finalists) - 1
    assert list(winner.aps.values()) == list(run.winner.test_aps)
    assert alone.ap == pytest.approx(sum(run.references.alone_test) / len(run.references.alone_test))
    with Store.open(finished.work_dir, readonly=True) as store:
        told = details(store.events())
        mine = [told[trial] for trial in told if trial.distiller == run.winner.candidate.text]
    assert winner.metrics["ap50"] == pytest.approx(sum(one.metrics["ap50"] for one in mine) / len(mine))
    assert winner.metrics["ap50"] >= winner.ap
    assert len(winner.curve) > 1
    assert {one.sort for one in (teacher, winner, alone, *others) if one.losses} == {"winner", "alone", "other"}


def test_pictures_show_everyone_on_test_images_and_keep_the_report_small(finished: Outcome) -> None:
    run = collect(finished.work_dir)
    assert 0 < len(run.pictures) <= 12
    for picture in run.pictures:
        assert list(picture.detections) == ["ground truth", "student alone", "winner", "teacher"]
        assert all(picture.detections.values())
    html = render_report(run, DETKDS)
    assert html.count("data:image/jpeg;base64,") == 4 * len(run.pictures)
    assert len(html) < 3_000_000


def test_a_run_without_pictures_says_how_to_get_them(run: Run) -> None:
    html = render_report(run, DETKDS)
    assert "No pictures are painted of this run: call gp_search run once more" in html
    assert 'data-figure="curves"' not in html
    assert "Seed by seed" in html


def test_a_training_that_failed_is_told_by_its_seed_and_left_out_of_the_mean() -> None:
    alone = Student("student alone", "alone", {0: 0.2, 1: 0.3})
    ours = Student("pkd", "winner", {0: 0.4, 1: None})
    html = render_trainings("x-train", "bbox", [alone, ours], [], None)
    assert "failed" in html
    assert (ours.ap, alone.ap) == (0.4, 0.25)
    assert "+0.200" in html  # over the one seed that both have
    assert "a single pair" in html


def test_only_what_distils_has_a_distillation_loss_and_names_are_text() -> None:
    losses = [(10, 1.0, 0.5), (20, 0.5, 0.25)]
    ours = Student("<b>pkd", "winner", {0: 0.4}, losses=losses, curve=((10, 0.1), (20, 0.2)))
    alone = replace(ours, name="student alone", sort="alone", losses=[(10, 1.0, 0.0)])
    figures = curve_figures([ours, alone])
    names = [line["name"] for line in figures["losses"]["data"]]
    assert names == ["student alone: own loss", "&lt;b&gt;pkd: own loss", "&lt;b&gt;pkd: distillation"]
    assert [line["y"] for line in figures["curves"]["data"]] == [[0.1, 0.2], [0.1, 0.2]]


def test_an_album_about_another_winner_is_not_shown(finished: Outcome, tmp_path: Path) -> None:
    from detkds_gp.report.explanation import album

    folder = finished.work_dir / "pictures"
    winner = collect(finished.work_dir).winner.candidate.text
    assert len(album(folder, winner=winner)) > 0
    assert album(folder, winner="1 * calibrated * l2(global)" if "l2" not in winner else "none") == ()
    assert album(tmp_path, winner=winner) == ()
