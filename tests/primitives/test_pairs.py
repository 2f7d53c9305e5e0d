"""Pair transforms: one draw for both sides, the stated share, fields that take only the teacher."""

from __future__ import annotations

import pytest
import torch

from detkds_gp.primitives import OMNI, attention, pairs


@pytest.mark.parametrize("kept", [0.01, 0.1, 0.35, 0.65, 0.99])
def test_shared_mask_keeps_the_stated_share_of_positions_on_both_sides(kept):
    torch.manual_seed(0)
    student, teacher = torch.rand(8, 3, 90, 70) + 1, torch.rand(8, 3, 90, 70) + 1
    masked = pairs.shared_mask(student, teacher, kept)
    alive = [side != 0 for side in masked]
    assert torch.equal(alive[0], alive[1])
    assert torch.equal(alive[0], alive[0][:, :1].expand_as(alive[0]))
    share = alive[0][:, 0].double().mean().item()
    assert share == pytest.approx(kept, abs=5 * (kept * (1 - kept) / 50_400) ** 0.5)
    assert torch.equal(masked[0][alive[0]], student[alive[0]])
    assert torch.equal(masked[1][alive[1]], teacher[alive[1]])
    assert not torch.equal(alive[0][0], alive[0][1])


@pytest.mark.parametrize("dropped", [0.01, 0.1, 0.5, 0.99])
def test_shared_dropout_drops_the_stated_share_of_numbers_on_both_sides(dropped):
    torch.manual_seed(0)
    student, teacher = torch.rand(4, 5, 50, 50) + 1, torch.rand(4, 5, 50, 50) + 1
    thinned = pairs.shared_dropout(student, teacher, dropped)
    alive = [side != 0 for side in thinned]
    assert torch.equal(alive[0], alive[1])
    share = alive[0].double().mean().item()
    assert share == pytest.approx(1 - dropped, abs=5 * (dropped * (1 - dropped) / 50_000) ** 0.5)
    assert torch.allclose(thinned[0][alive[0]] * (1 - dropped), student[alive[0]])
    assert torch.allclose(thinned[1][alive[1]] * (1 - dropped), teacher[alive[1]])


@pytest.mark.parametrize("name", ["shared_mask", "shared_dropout"])
def test_equal_sides_stay_equal_and_torchs_seed_fixes_the_draw(name):
    x, draws = torch.rand(2, 3, 6, 6) + 1, []
    for _ in range(2):
        torch.manual_seed(5)
        student, teacher = OMNI.declarations[name](x, x, 0.5)
        assert torch.equal(student, teacher)
        draws.append(student)
    assert torch.equal(*draws)
    assert not torch.equal(OMNI.declarations[name](x, x, 0.5)[0], draws[0])


@pytest.mark.parametrize("name", ["shared_mask", "shared_dropout"])
def test_both_sides_of_a_pair_keep_their_gradient_apart(name):
    student = torch.rand(2, 3, 4, 4, requires_grad=True)
    outcome, teacher = OMNI.declarations[name](student, torch.rand(2, 3, 4, 4), 0.5)
    assert outcome.requires_grad
    assert not teacher.requires_grad


@pytest.mark.parametrize("field", [attention.teacher_spatial_attention, attention.teacher_channel_attention])
def test_teacher_attention_takes_only_the_teacher(field):
    student = torch.randn(2, 3, 4, 5, requires_grad=True)
    teacher = torch.randn(2, 3, 4, 5)
    values = field(student, teacher, 0.5)
    assert torch.equal(values, field(torch.full_like(teacher, torch.nan), teacher, 0.5))
    assert not values.requires_grad
    assert values.mean(dim=(1, 2, 3)).tolist() == pytest.approx([1, 1])


def test_disagreement_is_symmetric_zero_at_equality_and_without_gradient():
    student, teacher = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randn(2, 3, 4, 5)
    field = attention.disagreement(student, teacher)
    assert not field.requires_grad
    assert torch.equal(field, attention.disagreement(teacher, student))
    assert not attention.disagreement(teacher, teacher).any()


@pytest.mark.parametrize("side", [(1, 1), (3, 3), (5, 7), (9, 14), (2, 20)])
def test_a_field_follows_the_maps_size(side):
    x = torch.randn(2, 3, 5, 7)
    constant = attention.weighted(x, torch.full((2, 1, *side), 4.0))
    assert torch.allclose(constant, 2 * x)
