"""The pace of a pair, against sums done by hand where every measurement takes a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detkds_gp.fitness import PaceRequest, ProxyTask, ProxyTraining, ProxyWorker, pace
from detkds_gp.score import Pace


def test_a_measured_pace_has_no_teacher_to_train_where_it_is_trained(task: ProxyTask) -> None:
    measured = ProxyWorker(task)()(PaceRequest())
    assert isinstance(measured, Pace)
    assert 0 < measured.step < measured.distilled
    assert measured.selection == pytest.approx(measured.test)  # both have 6 images
    assert measured.selection > 0
    assert measured.teacher < 30


def test_every_part_of_the_preparation_is_counted(
    task: ProxyTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_seconds", lambda act: 1.0)
    image = 1.0 / 6  # of six selection images predicted in a second
    trained = pace.measure_pace(ProxyTraining(task))
    assert trained.selection == pytest.approx(pace.COMPARED * image * 6)
    assert trained.teacher == pytest.approx(pace.COMPARED * 12 / 8)  # 8 training images were asked in a second
    bare = replace(
        task, teacher=replace(task.teacher, checkpoint=str(tmp_path / "no.pth")), teacher_outputs=tmp_path / "no.pt"
    )
    whole = pace.measure_pace(ProxyTraining(bare))
    looked = (1 + 3) * 6 + 6  # selection images after each of three steps and at the end, then test images
    assert whole.teacher == pytest.approx(3 * 1.0 + pace.COMPARED * looked / 8 + 2 * 12 / 8)
    at_every_step = pace.measure_pace(ProxyTraining(replace(task, teacher_outputs=None)))
    assert at_every_step.distilled == pytest.approx(pace.DISTILLED + 4 / 8)


def test_measuring_changes_no_score(task: ProxyTask) -> None:
    from detkds_gp.score import Trial

    trial = Trial("1 * 1 * l2(global)", 2, 0)
    alone = ProxyWorker(task)()(trial)
    worker = ProxyWorker(task)()
    worker(PaceRequest())
    assert replace(worker(trial), wall_seconds=0.0) == replace(alone, wall_seconds=0.0)  # type: ignore[type-var]
