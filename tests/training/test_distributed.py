"""Two processes train as one does on the same global batch.

Each process sees half of the batch, so its distillation loss is its own: of either half it must be above 0, and its
gradient must not vanish. What must be identical is what comes after the processes have met: the gradients, each the
mean of the two halves' own; the weights after the optimizer's step; and the loss that is logged, the mean of the two.
For a loss that is a mean over images (mimic, CWD) this is the step of one process on the whole batch. For the others
it need not be: PKD standardizes over its half, a mean over objects weighs halves alike, a mask is drawn anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.primitives.zoo import ZOO

from . import two_processes

SCRIPT = Path(two_processes.__file__)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
TINY = Path(__file__).resolve().parents[2] / "configs" / "tiny"
FORMULAS = (
    "l2(standardize_channel(global))",
    "binary_kl(units(class_logits, 1))",
    "add(l2_sum(foreground), l2_sum(background))",
    "l2(instance)",
    "weighted_giou(boxes, box_score)",
    "binary_kl(units(cross_logits, 1))",
)
TWO_STAGE = tuple(name for name, entry in ZOO.items() if entry.stages == "two")
BINS = ("ld",)
ONE_STAGE = tuple(name for name in ZOO if name not in TWO_STAGE + BINS)
STEPS = (
    *(f"tiny {name}" for name in ONE_STAGE + FORMULAS),
    *(f"gfl {name}" for name in BINS),
    *(f"faster_rcnn {name}" for name in TWO_STAGE),
)
OF_IMAGES = ("mimic", "cwd")
LEARNED = tuple(step for step in STEPS if step.split(" ")[1].startswith(("fgd", "mgd", "detkds_cascade")))

pytestmark = pytest.mark.slow

ON_CPU = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
"""Two processes of gloo, also where there is a GPU."""


@pytest.fixture(scope="module")
def out(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of two processes says of every distiller, of parting and of preparing, and one of those of images."""
    out = tmp_path_factory.mktemp("steps")
    local = {"data.digits.root": str(out / "digits"), "cache_dir": str(out / "cache")}
    tiny, gfl, faster = (tiny_config, {}), (TINY / "gfl.py", local), (TINY / "faster_rcnn.py", local)
    asked = (*tiny, ONE_STAGE + FORMULAS), (*gfl, BINS), (*faster, TWO_STAGE)
    alone, *together = (
        json.dumps([str(path), options, names]) for path, options, names in ((*tiny, OF_IMAGES), *asked)
    )
    two_processes.main(str(out), alone)
    command = [*TORCHRUN, str(SCRIPT), str(out), *together]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=ON_CPU, timeout=1200)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def told(out: Path) -> dict[str, Any]:
    """The steps by ``<processes>-<rank>``."""
    return {path.stem: torch.load(path, weights_only=True) for path in out.glob("*.pt")}


def test_every_published_distiller_is_among_them(told: dict[str, Any]) -> None:
    assert {step.split(" ", 1)[1] for step in STEPS} == {*ZOO, *FORMULAS}
    assert set(told["2-0"]) == set(told["2-1"]) == set(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_losses_are_not_zero_and_logged_alike(step: str, told: dict[str, Any]) -> None:
    first, second = told["2-0"][step], told["2-1"][step]
    assert (first["loss"] > 0).all()
    assert (second["loss"] > 0).all()
    assert not torch.equal(first["loss"], second["loss"])  # each of its own half
    assert torch.equal(first["logged"], second["logged"])
    torch.testing.assert_close(first["logged"], (first["loss"] + second["loss"]) / 2)


@pytest.mark.parametrize("step", STEPS)
def test_gradients_are_not_zero_and_the_mean_of_both(step: str, told: dict[str, Any]) -> None:
    first, second = told["2-0"][step], told["2-1"][step]
    assert first["averaged"].keys() == second["averaged"].keys()
    assert any(gradient.any() for gradient in first["averaged"].values())
    for name, gradient in first["averaged"].items():
        assert torch.equal(gradient, second["averaged"][name])
        own = [half["local"].get(name, torch.zeros(())) for half in (first, second)]
        torch.testing.assert_close(
            gradient, (own[0] + own[1]) / 2, rtol=1e-4, atol=1e-7 + 1e-5 * float(own[0].abs().max())
        )
    for half in (first, second):
        assert any(gradient.any() for name, gradient in half["local"].items() if name.startswith("student."))


@pytest.mark.parametrize("step", STEPS)
def test_all_weights_start_and_stay_the_same_in_both_processes(step: str, told: dict[str, Any]) -> None:
    first, second = told["2-0"][step], told["2-1"][step]
    for moment in ("made", "after"):
        assert first[moment].keys() == second[moment].keys()
        assert all(torch.equal(value, second[moment][name]) for name, value in first[moment].items())


@pytest.mark.parametrize("step", LEARNED)
def test_learned_primitives_are_averaged_and_moved_like_the_student(step: str, told: dict[str, Any]) -> None:
    first = told["2-0"][step]
    learned = [name for name in first["made"] if name.startswith("distillation.parts")]
    assert learned
    trained = {name for name in learned if first["averaged"].get(name, torch.zeros(1)).any()}
    moved = {name for name in learned if not torch.equal(first["made"][name], first["after"][name])}
    assert trained
    assert trained <= moved


@pytest.mark.parametrize("name", OF_IMAGES)
def test_two_processes_make_the_step_of_one(name: str, told: dict[str, Any]) -> None:
    whole, first = told["1-0"][f"tiny {name}"], told["2-0"][f"tiny {name}"]
    torch.testing.assert_close(first["logged"], whole["loss"], rtol=1e-5, atol=1e-7)
    moved = {name for name, gradient in whole["averaged"].items() if gradient.any()}
    assert "student.backbone.conv1.weight" in moved
    assert "pairing.adapters.global.0.weight" in moved
    largest = max(float(gradient.abs().max()) for gradient in whole["averaged"].values())
    for key, gradient in whole["averaged"].items():
        torch.testing.assert_close(first["averaged"][key], gradient, rtol=1e-4, atol=1e-6 * largest)


def test_a_training_that_diverges_ends_in_both_processes(tiny_config: Path, tmp_path: Path) -> None:
    options = {"optim_wrapper.optimizer.lr": 1e30, "model.student.bbox_head.loss_cls.loss_weight": 1e6}
    config = tmp_path / "diverging.py"
    settings = {"iterations": 8, "batch_size": 2, "workers": 0, "options": options}
    config.write_text(f'_base_ = "{tiny_config}"\nfull_training = {settings!r}\n')
    command = [*TORCHRUN, "--no-python", sys.executable, "-c", "from detkds_gp.cli.app import main; main()", "train"]
    command += [str(config), "--distiller", "none", "--work-dir", str(tmp_path / "x")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=ON_CPU, timeout=300)
    assert ended.returncode != 0
    assert ended.stderr.count("error: the training diverges: ") == 2
    assert not (tmp_path / "x" / "result.json").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_parting_ends_the_threads_of_the_group_before_the_interpreter_does(rank: int, out: Path) -> None:
    """One that frees a tensor of Python's while the interpreter ends aborts the process."""
    within, after = map(int, (out / f"{rank}.threads").read_text().split())
    assert within > 0 == after


def test_all_wait_for_what_the_first_prepares_and_hear_of_its_mistakes(out: Path) -> None:
    mistake = "ConfigError: got 1, wanted 2"
    assert (out / "0.txt").read_text().splitlines() == [
        "0 sees what 0 did", mistake, "ZeroDivisionError: x",
    ]  # fmt: skip
    assert (out / "1.txt").read_text().splitlines() == [
        "1 sees what 0 did", mistake, "RuntimeError: the first process failed: ZeroDivisionError('x')",
    ]  # fmt: skip
