from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.config import load_config
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.calibration import write_probe
from detkds_gp.listener import Listener
from detkds_gp.setup.prepare import gather, prepare

Tasks = Callable[..., ProxyTask]


@pytest.fixture(scope="session")
def task_with(tiny_config: Path) -> Tasks:
    """Make the task of the tiny config with some options, its files in a folder."""

    def make(folder: Path, **options: Any) -> ProxyTask:
        config = load_config(tiny_config, options)
        return prepare(config, gather(config), folder, Listener())

    return make


@pytest.fixture(scope="session")
def task(task_with: Tasks, tmp_path_factory: pytest.TempPathFactory) -> ProxyTask:
    """The tiny task; its teacher is trained, its outputs kept and its probe student written."""
    task = task_with(tmp_path_factory.mktemp("fitness"))
    proxy = ProxyTraining(task)
    assert proxy.prepare_teacher().ok
    write_probe(proxy, seed=0)
    return task


@pytest.fixture
def proxy(task: ProxyTask) -> ProxyTraining:
    return ProxyTraining(task)


@pytest.fixture
def elsewhere(task: ProxyTask, tmp_path: Path) -> ProxyTask:
    """The same task with copies of its files, to be broken."""
    outputs = tmp_path / "outputs.pt"
    outputs.write_bytes(task.teacher_outputs.read_bytes())
    moved = replace(task, teacher_outputs=outputs, files=tmp_path)
    moved.probe.write_bytes(task.probe.read_bytes())
    return moved
