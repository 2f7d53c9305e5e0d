from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from torch import Tensor, nn

from detkds_gp.detectors import Pair, outputs_of
from detkds_gp.language import Map, PrimitiveSet, distance
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import DETKDS
from detkds_gp.primitives.inputs import global_
from detkds_gp.training import DistilledDetector, OptimizerSettings, TrainingFault, seed_all, train

Builder = Callable[[], Any]
MASKED = "l2(shared_mask(global, 0.35))"
SGD = {"type": "SGD", "lr": 0.1}


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def step_length(student: nn.Module, batch: Any, **settings: Any) -> float:
    before = weights(student)
    chosen = OptimizerSettings(optimizer=SGD, **settings)
    train(DistilledDetector(student), [(batch, None)], chosen, 1, seed=0)
    return (weights(student) - before).norm().item()


def test_the_same_arguments_give_the_same_weights(
    student: Builder, teacher: Builder, pair: Pair, batch: dict[str, Any]
) -> None:
    def trained(seed: int) -> Tensor:
        loss = DistillationLoss(MASKED, DETKDS)
        model = DistilledDetector(student(), loss, pair, teacher(), torch.Generator().manual_seed(5))
        torch.rand(seed + 1)  # whatever happened before must not matter
        train(model, [(batch, None)] * 3, OptimizerSettings(warmup=2), 3, seed)
        return weights(model)

    first = trained(0)
    assert torch.equal(first, trained(0))
    assert not torch.equal(first, trained(1))  # another mask is drawn


SCRIPT = """
import hashlib, sys
from pathlib import Path
from detkds_gp.config import load_config
from detkds_gp.setup.prepare import load_data
from detkds_gp.detectors import build_detector, make_batch
from detkds_gp.fitness import SplitImages
from detkds_gp.training import DistilledDetector, OptimizerSettings, seed_all, train

def digest(path):
    config = load_config(path)
    images = SplitImages(load_data(config.data)["train"], (64, 64), 1 << 20)
    seed_all(3)
    model = DistilledDetector(build_detector(config.student.spec(), images.split.classes))
    batch = make_batch([images[i] for i in range(4)])
    train(model, [(batch, None)] * 3, OptimizerSettings(), 3, seed=3)
    state = model.student.state_dict()
    return hashlib.sha256(b"".join(state[name].numpy().tobytes() for name in state)).hexdigest()

if __name__ == "__main__":
    import torch
    torch.set_num_threads(int(sys.argv[2]))
    print(digest(Path(sys.argv[1])))
"""


@pytest.mark.slow
def test_another_process_gives_the_same_weights(tiny_config: Path, tmp_path: Path) -> None:
    script = tmp_path / "digest.py"
    script.write_text(SCRIPT)
    here: dict[str, Any] = {"__name__": "here"}
    exec(compile(SCRIPT, str(script), "exec"), here)
    command = [sys.executable, str(script), str(tiny_config), str(torch.get_num_threads())]
    there = subprocess.run(command, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here["digest"](tiny_config)
    assert len(there.stdout.strip()) == len(hashlib.sha256().hexdigest())


def test_seeds_depend_on_seed_and_iteration() -> None:
    def drawn(*arguments: int) -> float:
        seed_all(*arguments)
        return torch.rand(()).item()

    assert drawn(1, 2) == drawn(1, 2)
    assert len({drawn(1, 2), drawn(2, 1), drawn(1, 1), drawn(12), drawn(1), drawn(0, 12)}) == 6


def test_the_rate_rises_then_stays() -> None:
    settings = OptimizerSettings(warmup=4)
    factors = [settings.learning_rate_factor(i, 1000) for i in (0, 1, 3, 4, 999)]
    assert factors == [0.25, 0.5, 1, 1, 1]
    assert OptimizerSettings(warmup=0).learning_rate_factor(0, 1) == 1


def test_the_rate_falls_along_a_cosine_if_asked_to() -> None:
    settings = OptimizerSettings(warmup=0, decay=0.5)
    factors = [settings.learning_rate_factor(i, 8) for i in range(8)]
    wanted = [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)]
    assert factors == pytest.approx([1, 1, 1, 1, *wanted])
    assert 0 < OptimizerSettings(warmup=0, decay=1).learning_rate_factor(99, 100) < 0.001


def test_warmup_scales_the_first_step(student: Builder, batch: dict[str, Any]) -> None:
    whole = step_length(student(), batch, warmup=0, clip_norm=0)
    assert step_length(student(), batch, warmup=8, clip_norm=0) == pytest.approx(whole / 8, rel=1e-3)


def test_clipping_bounds_the_step(student: Builder, batch: dict[str, Any]) -> None:
    assert step_length(student(), batch, warmup=0, clip_norm=0) > 0.1 * 0.01
    length = step_length(student(), batch, warmup=0, clip_norm=0.01)
    assert length == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_a_shorter_training_is_the_beginning_of_a_longer_one(student: Builder, batch: dict[str, Any]) -> None:
    short, long = DistilledDetector(student()), DistilledDetector(student())
    snapshots: list[Tensor] = []

    def watched() -> Iterator[tuple[Any, None]]:
        while True:
            snapshots.append(weights(long))
            yield batch, None

    settings = OptimizerSettings(warmup=3, average=0)
    train(short, watched(), settings, 2, seed=0)
    snapshots.clear()
    train(long, watched(), settings, 4, seed=0)
    assert len(snapshots) == 4  # as many batches as steps
    assert torch.equal(snapshots[2], weights(short))
    assert not torch.equal(snapshots[3], weights(short))


def test_too_few_batches_are_refused(student: Builder, batch: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got 2 batches, wanted 3"):
        train(DistilledDetector(student()), [(batch, None)] * 2, OptimizerSettings(), 3, seed=0)


def test_a_loss_that_is_no_number_is_named_where_it_shows(
    student: Builder, teacher: Builder, pair: Pair, batch: dict[str, Any]
) -> None:
    theirs = teacher()
    known = outputs_of(theirs, theirs.data_preprocessor(batch, False)["inputs"])
    spoilt = {**known, "global": [level * math.nan for level in known["global"]]}
    model = DistilledDetector(student(), DistillationLoss("l2(global)", DETKDS), pair)
    with pytest.raises(TrainingFault, match="nan at iteration 2") as caught:
        train(model, [(batch, known), (batch, known), (batch, spoilt)], OptimizerSettings(), 3, seed=0)
    assert caught.value.failure == "nonfinite"


def test_a_loss_beyond_float32_is_named(student: Builder, teacher: Builder, pair: Pair, batch: dict[str, Any]) -> None:
    loss = DistillationLoss("1 * 1e39 * l2(global)", DETKDS)
    model = DistilledDetector(student(), loss, pair, teacher())
    with pytest.raises(TrainingFault, match="inf at iteration 0") as caught:
        train(model, [(batch, None)], OptimizerSettings(), 1, seed=0)
    assert caught.value.failure == "nonfinite"


def test_a_students_loss_that_explodes_is_named(student: Builder, batch: dict[str, Any]) -> None:
    settings = OptimizerSettings(optimizer={"type": "AdamW", "lr": 1e6}, clip_norm=0, warmup=0)
    with pytest.raises(TrainingFault, match="at iteration 1$") as caught:
        train(DistilledDetector(student()), [(batch, None)] * 3, settings, 3, seed=0)
    assert caught.value.failure in ("diverged", "nonfinite")


def test_a_rise_tenfold_is_a_divergence(student: Builder, batch: dict[str, Any]) -> None:
    wild = student()
    settings = OptimizerSettings(optimizer={"type": "SGD", "lr": 3.0}, clip_norm=0, warmup=0)
    seen: list[float] = []
    loss = wild.loss

    def heard(*arguments: Any) -> Any:
        losses = loss(*arguments)
        seen.append(sum(level.item() for levels in losses.values() for level in levels))
        return losses

    wild.loss = heard
    with pytest.raises(TrainingFault) as caught:
        train(DistilledDetector(wild), [(batch, None)] * 20, settings, 20, seed=0)
    assert caught.value.failure == "diverged"
    assert f"at iteration {len(seen) - 1}" in caught.value.detail
    assert seen[-1] > 10 * max(seen[0], 1) >= max(seen[:-1])


def test_weights_that_the_last_step_breaks_are_named(
    student: Builder, teacher: Builder, pair: Pair, batch: dict[str, Any]
) -> None:
    @distance(Map, latex="e(#1)")
    def edge(student: Tensor, teacher: Tensor) -> Tensor:
        """Mean square, (); on 16 channels a finite loss whose gradient is no number."""
        if student.shape[1] == 16:
            return (student * 0).sum().sqrt()
        return F.mse_loss(student, teacher, reduction="sum") / max(student.numel(), 1)

    loss = DistillationLoss("edge(global)", PrimitiveSet("OWN", [global_, edge]))
    model = DistilledDetector(student(), loss, pair, teacher())
    with pytest.raises(TrainingFault, match="not finite after iteration 0") as caught:
        train(model, [(batch, None)], OptimizerSettings(), 1, seed=0)
    assert caught.value.failure == "nonfinite"


@pytest.mark.parametrize("optimizer", [{"lr": 1}, {"type": "Nothing", "lr": 1}, {"type": "SGD", "rate": 1}])
def test_optimizers_that_cannot_be_built_are_refused_at_once(optimizer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="wanted what mmengine builds"):
        OptimizerSettings(optimizer=optimizer)


def test_mdets_heads_hear_how_far_the_training_is() -> None:
    """TOOD, BoxInst and YOLOX's multi-scale input ask mmengine's hub, which a Runner would tell."""
    hub = MessageHub.get_current_instance()
    seed_all(0, 7)
    assert (hub.get_info("iter"), hub.get_info("epoch")) == (7, 0)
    seed_all(1)
    assert hub.get_info("iter") == 0
