"""Distances and offsets of boxes against torchvision, and where their gradient leads."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import box_iou, generalized_box_iou

from detkds_gp.language import Boxes
from detkds_gp.language.contract import sample
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import OMNI, box_distances, boxes, row_weights

REFERENCE = {"iou": box_iou, "giou": generalized_box_iou}
DEGENERATE = {
    "no area": [[3.0, 4, 3, 4], [7, 1, 7, 9], [1e4, 5, 2e4, 5], [0, 0, 0, 0]],
    "swapped": [[9.0, 8, 2, 3], [9, 3, 2, 8], [-1e5, 4, -2e5, 3], [0, 1, 0, -1]],
    "huge": [[-1e8, -1e8, 1e8, 1e8], [0, 0, 1e12, 1e-3], [1e15, 0, 1e15, 5], [-1e15, 0, 1e15, 1]],
}


def draw(rows: int, seed: int) -> torch.Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return sample(Boxes, (rows, 4)) * 20


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("shift", [0, 300, -1500])
def test_it_is_torchvisions_on_boxes_with_an_area(name, shift):
    student, teacher = draw(200, 1) + shift, draw(200, 2) + shift
    gaps = 1 - REFERENCE[name](student.double(), teacher.double()).diagonal()
    assert OMNI.declarations[name](student, teacher).item() == pytest.approx(gaps.mean().item(), rel=1e-5)
    score = torch.rand(200, 1)
    expected = (score[:, 0] * gaps).sum() / score.sum()
    weighted = OMNI.declarations[f"weighted_{name}"](student, teacher, score)
    assert weighted.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", REFERENCE)
def test_the_gradient_is_torchvisions(name):
    student, teacher = draw(50, 3).double().requires_grad_(), draw(50, 4).double()
    expected = torch.autograd.grad(1 - REFERENCE[name](student, teacher).diagonal().mean(), student)[0]
    gradient = torch.autograd.grad(OMNI.declarations[name](student, teacher), student)[0]
    assert torch.allclose(gradient, expected, atol=1e-9)


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_boxes_have_distance_0_from_themselves_and_a_finite_gradient(name, case):
    odd = torch.tensor(DEGENERATE[case])
    for student, teacher in ((odd, odd), (odd, draw(4, 5)), (draw(4, 5), odd), (odd, odd.flip(0))):
        student = student.clone().requires_grad_()
        loss = OMNI.declarations[name](student, teacher)
        assert 0 <= loss.item() <= 2
        assert torch.equal(student, teacher) == (loss.item() <= 1e-6)
        assert torch.autograd.grad(loss, student)[0].isfinite().all()


def test_iou_reaches_boxes_that_overlap_and_giou_all_boxes():
    teacher = torch.tensor([[10.0, 10, 30, 30]] * 3)
    student = torch.tensor([[12.0, 5, 33, 28], [50, 60, 70, 75], [12, 12, 20, 20]], requires_grad=True)
    gradient = torch.autograd.grad(box_distances.iou(student, teacher), student)[0]
    assert (gradient != 0).all(dim=1).tolist() == [True, False, True]
    gradient = torch.autograd.grad(box_distances.giou(student, teacher), student)[0]
    assert (gradient != 0).all()
    nearer = student - 30 * gradient
    assert box_distances.giou(nearer, teacher) < box_distances.giou(student, teacher)


@pytest.mark.parametrize("name", ["weighted_iou", "weighted_giou"])
def test_without_any_weight_there_is_no_loss(name):
    student = draw(6, 6).requires_grad_()
    loss = OMNI.declarations[name](student, draw(6, 7), torch.zeros(6, 1))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, student)[0].any()


def test_rows_that_are_no_multiple_of_the_numbers_are_refused():
    bins = torch.randn(10, 5).log_softmax(dim=1)
    with pytest.raises(ValueError, match="a field has 4 numbers for 10 rows, wanted 1 for every row or every k rows"):
        OMNI.declarations["weighted_kl"](bins, bins, torch.ones(4, 1))
    with pytest.raises(ValueError, match="0 numbers for 10 rows"):
        row_weights.weighted_rows(bins, torch.ones(0, 1))


def test_rows_come_k_to_a_number():
    x, score = torch.randn(12, 5), torch.tensor([[4.0], [0.0], [9.0]])
    factors = [2.0] * 4 + [0.0] * 4 + [3.0] * 4
    assert torch.allclose(row_weights.weighted_rows(x, score), x * torch.tensor(factors)[:, None])
    student, teacher = x.log_softmax(1), torch.randn(12, 5).log_softmax(1)
    divergences = (teacher.exp() * (teacher - student)).sum(1)
    expected = (4 * divergences[:4].sum() + 9 * divergences[8:].sum()) / (4 * 4 + 4 * 9)
    weighted = OMNI.declarations["weighted_kl"](student, teacher, score)
    assert weighted.item() == pytest.approx(expected.item(), rel=1e-5)


def test_offsets_are_those_that_detectors_regress():
    coders = pytest.importorskip("mmdet.models.task_modules.coders.delta_xywh_bbox_coder")
    student, teacher = draw(40, 8), draw(40, 9)
    a, b = boxes.box_offsets(student, teacher)
    expected = coders.bbox2delta(teacher, student, (0.0,) * 4, (1.0,) * 4)
    assert torch.allclose(a - b, expected, atol=1e-4)


@pytest.mark.parametrize("distance", ["l1", "l2", "smooth_l1", "cosine", "pearson"])
def test_distances_of_offsets_reach_the_student_through_norms_too(distance):
    student, teacher = draw(5, 10).requires_grad_(), draw(5, 11)
    for inner in ("box_offsets(boxes)", "unit_row(box_offsets(boxes))", "standardize_row(box_offsets(boxes))"):
        loss = DistillationLoss(f"{distance}({inner})", OMNI)
        total = loss({"boxes": [(student, teacher)]}).total
        assert torch.autograd.grad(total, student)[0].abs().max() > 1e-5
        assert loss({"boxes": [(teacher, teacher)]}).total.item() <= 1e-6
