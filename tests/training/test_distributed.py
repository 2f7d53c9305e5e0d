"""Two processes train as one does on the same global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("two_processes.py")
MIMIC = "l2(global)"
CWD = "kl(softmax_space(global, 1))"
FORMULAS = (
    MIMIC,
    CWD,
    "l2(standardize_channel(global))",
    "binary_kl(units(class_logits, 1))",
    "add(l2_sum(foreground), l2_sum(background))",
    "l2(instance)",
    "weighted_giou(boxes, box_score)",
    "binary_kl(units(cross_logits, 1))",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process and each of two say of every formula: by ``<processes>-<rank>``."""
    out = tmp_path_factory.mktemp("steps")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for launcher in ([sys.executable], torchrun):
        command = [*launcher, str(SCRIPT), str(tiny_config), str(out), *FORMULAS]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr[-3000:]
    return {path.stem: torch.load(path, weights_only=True) for path in out.glob("*.pt")}


@pytest.mark.parametrize("formula", FORMULAS)
def test_gradients_are_not_zero_and_the_same_in_both_processes(formula: str, told: dict[str, Any]) -> None:
    first, second = told["2-0"][formula], told["2-1"][formula]
    assert (first["loss"] > 0).all()
    assert (second["loss"] > 0).all()
    assert first["gradients"].keys() == second["gradients"].keys()
    assert any(gradient.any() for gradient in first["gradients"].values())
    assert all(torch.equal(gradient, second["gradients"][name]) for name, gradient in first["gradients"].items())


@pytest.mark.parametrize("formula", [MIMIC, CWD])
def test_two_processes_make_the_step_of_one(formula: str, told: dict[str, Any]) -> None:
    whole, first, second = told["1-0"][formula], told["2-0"][formula], told["2-1"][formula]
    torch.testing.assert_close((first["loss"] + second["loss"]) / 2, whole["loss"], rtol=1e-5, atol=1e-7)
    moved = {name for name, gradient in whole["gradients"].items() if gradient.any()}
    assert "student.backbone.conv1.weight" in moved
    assert "pairing.adapters.global.0.weight" in moved
    for name, gradient in whole["gradients"].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(first["gradients"][name], gradient, rtol=1e-4, atol=1e-5 * max(scale, 1e-3))


def test_all_wait_for_what_the_first_prepares_and_hear_of_its_mistakes(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, str(SCRIPT.with_name("first_process.py")), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr[-3000:]
    mistake = "ConfigError: got 1, wanted 2"
    assert (tmp_path / "0.txt").read_text().splitlines() == [
        "0 sees what 0 did", mistake, "ZeroDivisionError: x",
    ]  # fmt: skip
    assert (tmp_path / "1.txt").read_text().splitlines() == [
        "1 sees what 0 did", mistake, "RuntimeError: the first process failed: ZeroDivisionError('x')",
    ]  # fmt: skip
