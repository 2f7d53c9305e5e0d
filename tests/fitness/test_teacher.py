from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detkds_gp.detectors import build_detector
from detkds_gp.errors import DetectorError
from detkds_gp.fitness import ProxyTask, ProxyTraining, ProxyWorker, TeacherRequest
from detkds_gp.fitness.teacher import train_teacher
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
    assert [file.name for file in path.parent.iterdir()] == [path.name]
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
    train_teacher(spec, ProxyTraining(task).images["train"], task.teacher_training, "cpu")
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
