"""Focal losses against their formulas, number by number, and against differences; mmcv has them for GPUs only."""

from __future__ import annotations

import math

import pytest
import torch
from mmcv import ops
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from torch import Tensor

pytestmark = pytest.mark.usefixtures("ours")
LOGITS = torch.tensor([[0.3, -2.0, 1.5], [90.0, -90.0, 0.0], [-0.7, 0.2, 4.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
TARGETS = torch.tensor([1, 1, 2, 3])  # 3: no class is right
WEIGHTS = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
TINY = 1.1754943508222875e-38


def slowly(logits: Tensor, targets: Tensor, gamma: float, weight: Tensor | None, alpha: float = 0.25) -> Tensor:
    loss = torch.zeros_like(logits)
    for row, target in enumerate(targets.tolist()):
        for column in range(logits.shape[1]):
            p = 1 / (1 + math.exp(-float(logits[row, column])))
            right = -alpha * (1 - p) ** gamma * math.log(max(p, TINY))
            wrong = -(1 - alpha) * p**gamma * math.log(max(1 - p, TINY))
            loss[row, column] = (right if column == target else wrong) * (1.0 if weight is None else weight[target])
    return loss


@pytest.mark.parametrize(("rows", "weight"), [(4, None), (3, WEIGHTS)], ids=["plain", "weighted"])
@pytest.mark.parametrize("gamma", [2.0, 1.5])
def test_the_sigmoid_loss_of_every_number(gamma: float, rows: int, weight: Tensor | None) -> None:
    logits, targets, given = LOGITS[:rows], TARGETS[:rows], weight if weight is None else weight.float()
    found = ops.sigmoid_focal_loss(logits.float(), targets, gamma, 0.25, given, "none")
    torch.testing.assert_close(found.double(), slowly(logits, targets, gamma, weight), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("rows", "weight"), [([0, 2, 3], None), ([0, 2], WEIGHTS)], ids=["plain", "weighted"])
def test_the_sigmoid_losss_gradient_is_that_of_differences(rows: list[int], weight: Tensor | None) -> None:
    logits, targets, given = LOGITS[rows], TARGETS[rows], weight if weight is None else weight.float()
    leaf = logits.float().requires_grad_()
    ops.sigmoid_focal_loss(leaf, targets, 2.0, 0.25, given, "sum").backward()
    for place in range(logits.numel()):
        step = torch.zeros(logits.numel(), dtype=torch.float64)
        step[place] = 1e-6
        up, down = (slowly(logits + sign * step.view_as(logits), targets, 2.0, weight).sum() for sign in (1, -1))
        assert float(leaf.grad.flatten()[place]) == pytest.approx(float(up - down) / 2e-6, abs=1e-5)


def test_the_sigmoid_loss_is_the_one_that_mmdet_computes_on_a_cpu() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(50) % 5
    hot = torch.nn.functional.one_hot(targets, 5)[:, :4].float()
    results = []
    for loss in (
        lambda x: ops.sigmoid_focal_loss(x, targets, 2.0, 0.25, None, "sum"),
        lambda x: py_sigmoid_focal_loss(x, hot, gamma=2.0, alpha=0.25, reduction="sum"),
    ):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf)
        value.backward()
        results.append((value.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_the_result_only(dtype: torch.dtype) -> None:
    logits = LOGITS.to(dtype)
    found = ops.sigmoid_focal_loss(logits, TARGETS, 2.0, 0.25, None, "none")
    assert found.dtype == dtype
    assert torch.equal(found, ops.sigmoid_focal_loss(logits.float(), TARGETS, 2.0, 0.25, None, "none").to(dtype))


def test_no_rows_lose_nothing() -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = ops.sigmoid_focal_loss(logits, TARGETS[:0], 2.0, 0.25, None, "sum")
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.shape == (0, 3)


def test_the_softmax_loss_and_its_gradient() -> None:
    targets, weight = torch.tensor([1, 0, 2, 1]), WEIGHTS
    logits = (LOGITS / 40).clone().requires_grad_()
    chosen = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    expected = -0.25 * (1 - chosen.exp()) ** 2 * chosen * weight[targets]
    expected.sum().backward()
    leaf = logits.detach().float().requires_grad_()
    found = ops.softmax_focal_loss(leaf, targets, 2.0, 0.25, weight.float(), "sum")
    found.backward()
    torch.testing.assert_close(found.detach().double(), expected.detach().sum(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(leaf.grad.double(), logits.grad, rtol=1e-4, atol=1e-6)
