"""Learned primitives in training: trained with the student, no part of it, and moving nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from detkds_gp.detectors import Pair
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import OMNI
from detkds_gp.training import DistilledDetector, OptimizerSettings, train

Builder = Callable[[], Any]
Make = Callable[..., DistilledDetector]

CONTEXT = "0.01 * 1 * l2_sum(global_context(global))"
GENERATION = "0.01 * 1 * l2_sum(masked_generation(global, 0.35))"
LEARNED = (CONTEXT, GENERATION)
SETTINGS = OptimizerSettings(optimizer={"type": "AdamW", "lr": 0.01}, warmup=0)


@pytest.fixture
def model(student: Builder, teacher: Builder, pair: Pair) -> Make:
    def make(text: str, seed: int = 3) -> DistilledDetector:
        generator = torch.Generator().manual_seed(seed)
        return DistilledDetector(student(), DistillationLoss(text, OMNI), pair, teacher(), generator).train()

    return make


@pytest.mark.parametrize("text", LEARNED)
def test_they_are_trained_with_the_student_and_are_no_part_of_it(
    text: str, model: Make, student: Builder, batch: dict[str, Any]
) -> None:
    made = model(text)
    before = {name: value.clone() for name, value in made.distillation.state_dict().items()}
    assert before
    assert {len(levels) for levels in made.distillation.parts.values()} == {3}
    train(made, [(batch, None)] * 3, SETTINGS, 3, seed=0)
    after = made.distillation.state_dict()
    assert all(not torch.equal(value, after[name]) for name, value in before.items() if name.endswith("weight"))
    assert made.student.state_dict().keys() == student().state_dict().keys()
    assert {f"distillation.{name}" for name in before} <= made.state_dict().keys()
    resumed = model(text, seed=4)
    resumed.load_state_dict(made.state_dict())
    assert all(torch.equal(value, after[name]) for name, value in resumed.distillation.state_dict().items())


def test_making_them_leaves_adapters_and_streams_as_they_are(model: Make) -> None:
    plain = model("l2(global)").pairing.state_dict()
    state = torch.get_rng_state()
    both = model(f"add({CONTEXT.removeprefix('0.01 * 1 * ')}, {GENERATION.removeprefix('0.01 * 1 * ')})")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, plain[name]) for name, value in both.pairing.state_dict().items())
    alone, other = model(CONTEXT).distillation.state_dict(), model(CONTEXT, seed=4).distillation.state_dict()
    mixed = both.distillation.state_dict()
    assert all(torch.equal(value, mixed[name]) for name, value in alone.items())
    assert any(not torch.equal(value, other[name]) for name, value in alone.items())


def test_a_candidate_trains_the_same_whenever_it_is_trained(model: Make, batch: dict[str, Any]) -> None:
    first, between, again = (model(text) for text in (GENERATION, CONTEXT, GENERATION))
    for each in (first, between, again):
        train(each, [(batch, None)] * 3, SETTINGS, 3, seed=0)
    trained, repeated = first.state_dict(), again.state_dict()
    assert all(torch.equal(value, repeated[name]) for name, value in trained.items())


def test_the_teacher_itself_gets_no_gradient(model: Make, batch: dict[str, Any]) -> None:
    made = model(CONTEXT)
    losses = made(**batch)
    losses["loss_distill_global"].mean().backward()
    assert all(p.grad is None for p in made.teacher.parameters())
    levels = made.distillation.parts["global_context(global)"]
    assert all(level["teacher"].widen.weight.grad.any() for level in levels)
