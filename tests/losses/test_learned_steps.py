"""The weights of a loss: made per level and side of the shapes, the same wherever they are made."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from detkds_gp.losses import DistillationLoss, KnowledgeError, shapes_of
from detkds_gp.primitives import OMNI
from detkds_gp.screening import lint

CONTEXT = "l2_sum(global_context(global))"
GENERATION = "l2_sum(masked_generation(global, 0.35))"
BOTH = f"add({CONTEXT}, {GENERATION})"


def knowledge(channels=(4, 6, 2)):
    generator = torch.Generator().manual_seed(3)
    levels = []
    for level, c in enumerate(channels):
        student, teacher = torch.randn(2, 2, c, 7 - level, 5, generator=generator)
        levels.append((student.requires_grad_(), teacher))
    return {"global": levels}


def built(text, given=None, seed=0):
    return DistillationLoss(text, OMNI).build(shapes_of(given or knowledge()), seed)


def test_every_level_has_modules_of_its_channels_on_the_declared_sides():
    loss = built(BOTH)
    sides = {text: [sorted(level.keys()) for level in levels] for text, levels in loss.parts.items()}
    assert sides == {
        "global_context(global)": [["student", "teacher"]] * 3,
        "masked_generation(global, 0/35)": [["student"]] * 3,
    }
    assert [level["student"].attend.in_channels for level in loss.parts["global_context(global)"]] == [4, 6, 2]


def test_channels_follow_from_the_steps_before():
    loss = built("l2(global_context(channel_attention_map(max_pool_2(global), 1)))")
    inner = next(iter(loss.parts.values()))
    assert [level["teacher"].narrow.in_features for level in inner] == [4, 6, 2]
    one = built("l2(global_context(spatial_attention_map(global, 1)))")
    assert [level["student"].narrow.in_features for level in next(iter(one.parts.values()))] == [1, 1, 1]


def test_the_same_module_starts_alike_in_whatever_formula_it_stands():
    state = torch.get_rng_state()
    alone, joined, other = built(CONTEXT), built(BOTH), built(CONTEXT, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    key = "parts.global_context(global).1.student.narrow.weight"
    assert torch.equal(alone.state_dict()[key], joined.state_dict()[key])
    assert not torch.equal(alone.state_dict()[key], other.state_dict()[key])
    assert torch.equal(alone.state_dict()[key], alone.state_dict()[key.replace("student", "teacher")])


def test_the_student_passes_its_module_and_the_teacher_its_own():
    given, loss = knowledge((4,)), built(CONTEXT, knowledge((4,)))
    ((student, teacher),) = given["global"]
    part = loss.parts["global_context(global)"][0]
    with torch.no_grad():
        for module in part.values():
            module.widen.weight.normal_()
    expected = (part["student"](student) - part["teacher"](teacher)).square().sum() / 2
    loss(given).total.backward()
    assert loss(given).total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert student.grad.any()
    for name, weight in loss.named_parameters():
        assert weight.grad is not None, name
    assert part["teacher"].widen.weight.grad.any()


def test_what_only_the_student_passes_leaves_the_teacher_whole():
    given = knowledge((4,))
    loss = built(GENERATION, given)
    ((student, teacher),) = given["global"]
    torch.manual_seed(5)
    ours = loss(given).total
    torch.manual_seed(5)
    mask = (torch.rand(2, 1, 7, 5) < 0.35).float()
    first, _, second = loss.parts["masked_generation(global, 0/35)"][0]["student"].generate
    hidden = F.relu(F.conv2d(student * mask, first.weight, first.bias, padding=1))
    expected = (F.conv2d(hidden, second.weight, second.bias, padding=1) - teacher).square().sum() / 2
    assert ours.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_loss_without_learned_steps_has_no_weights_and_one_with_them_says_what_is_missing():
    assert not list(built("l2(global)").parameters())
    with pytest.raises(ValueError, match="'global_context' has weights that are not made; build the loss first"):
        DistillationLoss(CONTEXT, OMNI)(knowledge())
    with pytest.raises(KnowledgeError, match="the formula needs 'global', the pair gives class_map"):
        DistillationLoss(CONTEXT, OMNI).build({"class_map": [(1, 4, 7, 7)]}, 0)


def test_a_copy_has_weights_of_its_own():
    loss = built(CONTEXT)
    other = copy.deepcopy(loss)
    with torch.no_grad():
        next(loss.parameters()).add_(1)
    assert not torch.equal(next(loss.parameters()), next(other.parameters()))


@pytest.mark.parametrize("text", [CONTEXT, GENERATION, BOTH])
def test_lint_knows_them(text):
    report = lint(text, OMNI)
    assert not report.problems
    assert [step.shape for step in report.steps if step.text.startswith("global_context(")] in ([], [(2, 8, 9, 11)])
