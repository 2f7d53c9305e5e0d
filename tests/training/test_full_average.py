"""The weights that a full training averages by default: against numpy, interrupted, and in two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from detkds_gp.config import load_config
from detkds_gp.errors import ConfigError
from detkds_gp.full_training import FullTraining, run_full_training
from detkds_gp.full_training.training import protocol
from detkds_gp.listener import Listener
from detkds_gp.naming import read_distiller
from detkds_gp.training import score_student, trained
from detkds_gp.training.hooks import detector_of

STEPS = 6
SHORT = {
    "full_training.iterations": STEPS,
    "full_training.batch_size": 4,
    "full_training.workers": 0,
    "full_training.options": {"default_hooks.checkpoint.interval": 1, "default_hooks.checkpoint.max_keep_ckpts": -1},
}
FORMULA = "2 * 1 * l2(global)"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

State = dict[str, torch.Tensor]


class Heard(Listener):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def run(config: Path, folder: Path, listener: Listener | None = None, **options: Any) -> dict[str, Any]:
    loaded = load_config(config, {**SHORT, **options})
    asked = FullTraining(loaded, read_distiller(FORMULA, loaded), folder)
    return run_full_training(asked, listener or Listener())


def checkpoint(folder: Path, step: int) -> dict[str, Any]:
    return torch.load(folder / f"iter_{step}.pth", weights_only=True)


def trained_weights(folder: Path, step: int) -> State:
    """Return the student's weights that the training goes on with after a step."""
    running = checkpoint(folder, step)["ema_state_dict"]
    begin = "module.student."
    return {key.removeprefix(begin): value for key, value in running.items() if key.startswith(begin)}


def written(folder: Path) -> State:
    return torch.load(folder / "student.pth", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def folder(tiny_config: Path, heard: Heard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full training with a checkpoint after every step."""
    folder = tmp_path_factory.mktemp("full") / "training"
    run(tiny_config, folder, heard)
    return folder


def test_the_written_student_is_the_average_of_all_steps(folder: Path) -> None:
    steps = [trained_weights(folder, step) for step in range(1, STEPS + 1)]
    found, moved = written(folder), 0
    for name, value in found.items():
        if not value.is_floating_point():
            continue
        average = steps[0][name].double().numpy()
        for t, weights in enumerate(steps[1:]):
            kept = min(0.999, (t + 1) / (t + 10))
            average = kept * average + (1 - kept) * weights[name].double().numpy()
        np.testing.assert_allclose(value.numpy(), average, rtol=1e-4, atol=1e-6)
        moved += not torch.equal(value, steps[-1][name])
    assert moved > len(found) / 3
    assert all(torch.equal(value, found[name]) for name, value in checkpoint(folder, STEPS)["state_dict"].items())


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)])
def test_interrupted_anywhere_it_ends_with_the_same_average_to_the_last_bit(
    step: int, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "last_checkpoint").write_text(str(folder / f"iter_{step}.pth"))
    trained(Config.fromfile(folder / "config.py", import_custom_modules=False), tmp_path)
    wanted = written(folder)
    assert all(torch.equal(value, wanted[name]) for name, value in written(tmp_path).items())
    live = trained_weights(folder, STEPS)
    assert all(torch.equal(value, live[name]) for name, value in trained_weights(tmp_path, STEPS).items())


class Seen(Hook):
    """Keeps the student's weights as they are while it is scored."""

    def after_test_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        self.weights = {name: value.clone() for name, value in detector_of(runner).student.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("step", [STEPS - 1, STEPS])
def test_the_scored_student_is_the_written_one(step: int, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "last_checkpoint").write_text(str(folder / f"iter_{step}.pth"))
    runner = trained(Config.fromfile(folder / "config.py", import_custom_modules=False), tmp_path)
    seen = Seen()
    runner.register_hook(seen, "LOWEST")
    score_student(runner)
    wanted = written(folder)
    assert all(torch.equal(value, wanted[name]) for name, value in seen.weights.items())


def test_the_log_says_what_is_averaged(heard: Heard) -> None:
    assert [line for line in heard.lines if "averaged" in line] == [
        "averaged weights are scored and written: EMAHook, MomentumAnnealingEMA, momentum 0.001"
    ]


def test_a_training_that_is_averaged_otherwise_is_another_one(folder: Path, tiny_config: Path) -> None:
    config = Config.fromfile(folder / "config.py", import_custom_modules=False)
    other = Config(config.to_dict())
    other.custom_hooks = [hook for hook in config.custom_hooks if hook["type"] != "EMAHook"]
    assert len(other.custom_hooks) == len(config.custom_hooks) - 1
    told = json.loads((folder / "result.json").read_text())
    assert told["protocol"] == protocol(config, 1) != protocol(other, 1)
    with pytest.raises(ConfigError, match="holds another training"):
        run(tiny_config, folder, **{"full_training.average": 0.9})


@pytest.mark.slow
def test_two_processes_write_the_average_of_the_weights_they_share_and_are_told_from_one(
    tiny_config: Path, tmp_path: Path
) -> None:
    config, folder = tmp_path / "two.py", tmp_path / "two"
    settings = {key.removeprefix("full_training."): value for key, value in SHORT.items()}
    config.write_text(f'_base_ = "{tiny_config}"\nfull_training = {settings!r}\n')
    command = [*TORCHRUN, "--no-python", sys.executable, "-c", "from detkds_gp.cli.app import main; main()", "train"]
    command += [str(config), "--distiller", "mgd", "--work-dir", str(folder)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert ended.returncode == 0, ended.stderr[-3000:]
    test_the_written_student_is_the_average_of_all_steps(folder)
    assert json.loads((folder / "result.json").read_text())["processes"] == 2
    loaded = load_config(config)
    with pytest.raises(ConfigError, match="holds another training .processes is 2, asked for 1.; give another"):
        run_full_training(FullTraining(loaded, read_distiller("mgd", loaded), folder), Listener())
