"""The students that are painted are those that the final round judges."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from detkds_gp.config import load_config
from detkds_gp.errors import DetectorError
from detkds_gp.explanation import pictures, recorded_config
from detkds_gp.explanation.pictures import paint_pictures
from detkds_gp.fitness import ProxyTask, ProxyTraining, ProxyWorker, StartRequest
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.run import Experiment, Outcome
from detkds_gp.score import Trial
from detkds_gp.setup.prepare import gather, prepare

SEED, LENGTH = 11, 3
FORMULA = "1 * 1 * l1(shared_mask(global, 0.35))"  # its mask is drawn anew in every step


@pytest.fixture(scope="module")
def task(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> ProxyTask:
    """The tiny task with half-trained students, its teacher trained."""
    half = {"proxy.start": "half_trained", "proxy.start_iterations": 3}
    config = load_config(tiny_config, half)
    task = prepare(config, gather(config), tmp_path_factory.mktemp("pictures"), Listener())
    assert ProxyTraining(task).prepare_teacher().ok
    assert ProxyWorker(task)()(StartRequest(SEED)) is None
    return task


def test_the_students_that_are_painted_are_those_that_are_scored(
    task: ProxyTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted, scored = heard(monkeypatch, pictures, "predict", 0), heard(monkeypatch, ProxyTraining, "evaluate", 1)
    distiller = parse_distiller(FORMULA, task.primitive_set)
    paint_pictures(task, distiller, LENGTH, SEED, tmp_path / "pictures")
    for text in ("none", FORMULA):
        assert ProxyTraining(task)(Trial(text, LENGTH, SEED, test=True)).ok
    for found, wanted in zip(painted[:2], scored[2::3], strict=True):  # each is looked at twice on its way
        assert all(torch.equal(found[name], weight) for name, weight in wanted.items())


def heard(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, place: int) -> list[dict[str, Tensor]]:
    """Return a list to which every call adds the weights of the detector that it is given at a place."""
    calls: list[dict[str, Tensor]] = []
    function = getattr(where, name)

    def call(*given: Any, **named: Any) -> Any:
        calls.append({key: value.clone() for key, value in given[place].state_dict().items()})
        return function(*given, **named)

    monkeypatch.setattr(where, name, call)
    return calls


def test_a_student_that_cannot_be_trained_is_told(task: ProxyTask, tmp_path: Path) -> None:
    broken = parse_distiller("1 * 1e39 * l2(global)", task.primitive_set)
    with pytest.raises(DetectorError, match="fails to train: nonfinite"):
        paint_pictures(task, broken, LENGTH, SEED, tmp_path / "pictures")


def test_pictures_are_of_students_trained_with_the_configs_threads(finished: Outcome, tmp_path: Path) -> None:
    work_dir = Path(shutil.copytree(finished.work_dir, tmp_path / "copied"))
    experiment, before = Experiment(recorded_config(work_dir), work_dir), torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert experiment.explain(2).spent == 2
        assert torch.get_num_threads() == experiment.config.threads
    finally:
        torch.set_num_threads(before)
