"""Training checkpoints: the student's own, resumable, and read by plain mmdet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from detkds_gp.config import load_config
from detkds_gp.full_training import FullTraining, run_full_training
from detkds_gp.listener import Listener
from detkds_gp.naming import read_distiller
from detkds_gp.training import trained

FORMULA = "2 * 0.0001 * l2_sum(masked_generation(global, 0.35)) + 1 * 3 * kl(softmax_row(class_logits, 2))"
OPTIONS = {
    "full_training.iterations": 4,
    "full_training.batch_size": 4,
    "full_training.workers": 0,
    "full_training.average": 0,
}

PLAIN = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        root, *rest = name.split(".")
        if root == "detkds_gp" and rest[:1] not in ([], ["errors"], ["operators"]):  # mmcv's operators, nothing more
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Wall())
import numpy as np
from mmdet.apis import inference_detector, init_detector

folder, out = sys.argv[1:]
detector = init_detector(f"{folder}/student.py", f"{folder}/student.pth", device="cpu")
found = inference_detector(detector, np.full((64, 64, 3), 90, np.uint8)).pred_instances
np.savez(out, boxes=found.bboxes.numpy(), scores=found.scores.numpy(), classes=detector.dataset_meta["classes"])
"""


@pytest.fixture(scope="module")
def folder(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full training of four steps."""
    config = load_config(tiny_config, OPTIONS)
    named = read_distiller(FORMULA, config)
    folder = tmp_path_factory.mktemp("full") / "training"
    run_full_training(FullTraining(config, named, folder), Listener())
    return folder


def test_a_checkpoint_is_the_students_and_holds_plain_types_only(folder: Path) -> None:
    checkpoint = torch.load(folder / "iter_4.pth", weights_only=True)
    student = torch.load(folder / "student.pth", weights_only=True)
    assert checkpoint["state_dict"].keys() == student["state_dict"].keys()
    assert all(torch.equal(value, student["state_dict"][key]) for key, value in checkpoint["state_dict"].items())
    assert "backbone.conv1.weight" in student["state_dict"]
    assert not [key for key in student["state_dict"] if key.startswith(("student", "teacher", "pairing"))]
    learned = [key for key in checkpoint["distillation"] if not key.startswith("pairing.")]
    assert list(checkpoint["distillation"]) == [
        *learned,
        *(f"pairing.adapters.global.{level}.{part}" for level in range(3) for part in ("weight", "bias")),
    ]
    assert learned
    assert all(key.startswith("distillation.parts.") for key in learned)
    assert student["meta"] == {"dataset_meta": {"classes": tuple("0123456789")}}


def resumed(folder: Path, tmp_path: Path) -> Runner:
    """Go on with a training from its last checkpoint, in another folder."""
    elsewhere = tmp_path / "resumed"
    elsewhere.mkdir()
    (elsewhere / "last_checkpoint").write_text(str(folder / "iter_4.pth"))
    return trained(Config.fromfile(folder / "config.py", import_custom_modules=False), elsewhere)


def test_a_training_goes_on_with_student_adapters_learned_parts_and_optimizer(folder: Path, tmp_path: Path) -> None:
    before = torch.load(folder / "iter_4.pth", weights_only=True)
    runner = resumed(folder, tmp_path)
    assert runner.iter == 4  # nothing is left to train: all is as it was saved
    weights = runner.model.state_dict()
    assert all(torch.equal(value, weights[f"student.{key}"]) for key, value in before["state_dict"].items())
    assert all(torch.equal(value, weights[key]) for key, value in before["distillation"].items())
    state = runner.optim_wrapper.state_dict()["state"]
    assert state.keys() == before["optimizer"]["state"].keys()
    momentum = [
        (state[key]["momentum_buffer"], value["momentum_buffer"]) for key, value in before["optimizer"]["state"].items()
    ]
    assert all(torch.equal(a, b) for a, b in momentum)
    assert any(b.any() for _, b in momentum)


MOMENTUM = 0.25
EMA = {"type": "EMAHook", "momentum": MOMENTUM, "update_buffers": True, "strict_load": True, "priority": 49}


@pytest.fixture(scope="module")
def averaged(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full training of four steps whose student is averaged, as RTMDet's and YOLOX's configs ask."""
    config = load_config(tiny_config, {**OPTIONS, "student.overrides": {"custom_hooks": [EMA]}})
    folder = tmp_path_factory.mktemp("averaged") / "training"
    run_full_training(FullTraining(config, read_distiller(FORMULA, config), folder), Listener())
    return folder


def test_of_an_averaged_student_the_average_is_written_and_no_teacher(averaged: Path) -> None:
    before, after = (torch.load(averaged / f"iter_{number}.pth", weights_only=True) for number in (3, 4))
    assert not [key for key in after["ema_state_dict"] if "teacher" in key]
    student, running = torch.load(averaged / "student.pth", weights_only=True)["state_dict"], after["ema_state_dict"]
    assert student.keys() == {
        key.removeprefix("module.student.") for key in running if key.startswith("module.student.")
    }
    moved = 0
    for key, value in student.items():
        if value.is_floating_point():
            raw, old = running[f"module.student.{key}"], before["state_dict"][key]
            torch.testing.assert_close(value, (1 - MOMENTUM) * old + MOMENTUM * raw)
            moved += not torch.equal(value, raw)
    assert moved > len(student) / 4
    assert all(torch.equal(value, student[key]) for key, value in after["state_dict"].items())


def test_an_averaged_training_goes_on_with_weights_and_average(averaged: Path, tmp_path: Path) -> None:
    before = torch.load(averaged / "iter_4.pth", weights_only=True)
    runner = resumed(averaged, tmp_path)
    weights = runner.model.state_dict()
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    average = hook.ema_model.state_dict()
    running = before["ema_state_dict"]
    assert all(torch.equal(value, weights[key.removeprefix("module.")]) for key, value in running.items() if "." in key)
    assert all(torch.equal(value, average[f"module.student.{key}"]) for key, value in before["state_dict"].items())
    teacher = [key for key in weights if key.startswith("teacher.")]
    assert teacher
    assert all(torch.equal(weights[key], average[f"module.{key}"]) for key in teacher)


@pytest.mark.slow
def test_plain_mmdet_infers_with_the_student_and_no_more_of_detkds_gp_than_operators(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found.npz"
    ended = subprocess.run(
        [sys.executable, "-c", PLAIN, str(folder), str(out)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = np.load(out)
    assert tuple(found["classes"]) == tuple("0123456789")
    assert found["boxes"].shape == (len(found["scores"]), 4)
    assert len(found["scores"]) > 0
