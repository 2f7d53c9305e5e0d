from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detkds_gp.detectors import build_detector
from detkds_gp.errors import DetectorError
from detkds_gp.fitness import ProxyTask, ProxyTraining, ProxyWorker, TeacherRequest
from detkds_gp.fitness.teacher import TeacherTraining, teacher_curve, train_teacher
from detkds_gp.score import Score, Trial


def test_a_teacher_is_trained_once_and_then_taken_from_the_cache(
    task_with: Callable[..., ProxyTask], tmp_path: Path
) -> None:
    task = task_with(tmp_path, cache_dir=str(tmp_path / "cache"))
    path = Path(task.teacher.checkpoint or "")
    assert path.is_relative_to(tmp_path)
    assert not path.exists()
    first = ProxyTraining(task).prepare_teacher()
    written = path.stat()
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.curve.json"]
    other = task_with(tmp_path, cache_dir=str(tmp_path / "cache"), seed=9)
    assert other.teacher == task.teacher
    again = ProxyTraining(other).prepare_teacher()
    assert path.stat() == written
    assert (again.ap, again.test_ap) == (first.ap, first.test_ap)
    assert first.ap is not None
    assert first.test_ap is not None


def test_training_a_teacher_again_gives_the_same_weights(task: ProxyTask, tmp_path: Path) -> None:
    path = tmp_path / "again.pth"
    spec = replace(task.teacher, checkpoint=str(path))
    train_teacher(spec, ProxyTraining(task).images, task.teacher_training, "cpu")
    classes = task.splits["train"].classes
    once, again = (build_detector(one, classes).state_dict() for one in (task.teacher, spec))
    assert all(torch.equal(value, again[name]) for name, value in once.items())


def test_a_broken_teacher_is_named(task: ProxyTask, tmp_path: Path) -> None:
    path = tmp_path / "teacher.pth"
    path.write_bytes(b"no weights")
    broken = replace(task, teacher=replace(task.teacher, checkpoint=str(path)))
    with pytest.raises(DetectorError, match=r"teacher\.pth cannot be read.*delete the file"):
        ProxyTraining(broken).prepare_teacher()
    assert isinstance(ProxyWorker(broken)()(TeacherRequest()), DetectorError)


def test_a_teacher_that_diverges_is_a_named_failure(task: ProxyTask, tmp_path: Path) -> None:
    wild = {"optimizer": {"type": "SGD", "lr": 1e12}, "clip_norm": 0, "warmup": 0}
    training = task.teacher_training.model_copy(update=wild)
    spec = replace(task.teacher, checkpoint=str(tmp_path / "wild.pth"))
    score = ProxyTraining(replace(task, teacher=spec, teacher_training=training)).prepare_teacher()
    assert score.failure in ("diverged", "nonfinite")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_answers_every_request(task: ProxyTask) -> None:
    from detkds_gp.fitness import ProbeRequest, ScaleRequest

    answer = ProxyWorker(task)()
    assert answer(ProbeRequest(0)) is None
    scale = answer(ScaleRequest("l2(global)", 0))
    assert getattr(scale, "value", 0) > 0
    assert isinstance(answer(Trial("none", 1, 0)), Score)


def test_a_teacher_is_trained_until_it_stops_gaining(task: ProxyTask, tmp_path: Path) -> None:
    """At a rate of nothing no look brings a gain: the first look that may end it does."""
    still = {"optimizer": {"type": "SGD", "lr": 1e-12}, "iterations": 40, "checks": 20, "decay": 0.5}

    def trained(name: str, **settings: object) -> list[tuple[int, float]]:
        asked = task.teacher_training.model_copy(update={**still, **settings})
        spec = replace(task.teacher, checkpoint=str(tmp_path / name))
        points = train_teacher(spec, ProxyTraining(task).images, asked, "cpu")
        assert teacher_curve(spec.checkpoint) == points
        return points

    assert [n for n, _ in trained("flat")] == [2, 4, 6]
    assert [n for n, _ in trained("unseen", checks=0)] == []


def test_the_length_of_a_schedule_that_is_cut_short_keeps_its_share_of_a_falling_rate(
    task: ProxyTask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rates: list[float] = []
    factor = TeacherTraining.learning_rate_factor

    def noted(self: TeacherTraining, iteration: int, iterations: int) -> float:
        rates.append(factor(self, iteration, iterations))
        return rates[-1]

    monkeypatch.setattr(TeacherTraining, "learning_rate_factor", noted)
    still = {"optimizer": {"type": "SGD", "lr": 1e-12}, "iterations": 40, "checks": 20, "decay": 0.5, "warmup": 0}
    asked = task.teacher_training.model_copy(update=still)
    train_teacher(replace(task.teacher, checkpoint=str(tmp_path / "t.pth")), ProxyTraining(task).images, asked, "cpu")
    assert len(rates) == 12  # 6 steps until it is seen to be flat, and as many over which the rate falls
    assert rates[:7] == [1.0] * 7
    assert rates[7:] == sorted(rates[7:], reverse=True)
    assert rates[-1] < 0.1


def test_a_curve_is_seen_on_the_way_of_one_training(task: ProxyTask) -> None:
    trial = Trial("none", 4, 0, test=True)
    score, points = ProxyTraining(task).curve(trial, (1, 3))
    assert replace(score, wall_seconds=0) == replace(ProxyTraining(task)(trial), wall_seconds=0)
    assert [n for n, _ in points] == [1, 3, 4]
    for length, ap in points:
        assert ap == ProxyTraining(task)(Trial("none", length, 0)).ap
