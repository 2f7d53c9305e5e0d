"""Focal losses in plain torch: mmcv's operators, which mmdet takes on a GPU.

Inputs are (M, K) logits (sigmoid) or probabilities (softmax), targets (M,) class indices, for the sigmoid K where no
class is right. The formulas are those of Lin et al., "Focal Loss for Dense Object Detection" (ICCV 2017), with the
logarithm's argument kept from 0 as in mmcv. Half precision is computed in float32, as mmcv's kernels do.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``output`` (M, K) with the loss of every logit; ``weight`` is empty or (K,), by target."""
    p, right = logits.float().sigmoid(), _right(target, logits.shape[1])
    of_right = -alpha * (1 - p) ** gamma * _log(p)
    of_wrong = -(1 - alpha) * p**gamma * _log(1 - p)
    output.copy_(torch.where(right, of_right, of_wrong) * _weights(weight, target))


def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor, grad_logits: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``grad_logits`` (M, K) with the derivative of every logit's loss."""
    p, right = logits.float().sigmoid(), _right(target, logits.shape[1])
    of_right = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * _log(p))
    of_wrong = -(1 - alpha) * p**gamma * (gamma * (1 - p) * _log(1 - p) - p)
    grad_logits.copy_(torch.where(right, of_right, of_wrong) * _weights(weight, target))


def softmax_focal_loss_forward(
    probabilities: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``output`` (M,) with the loss of every row; 0 where the target is negative."""
    p = _of_target(probabilities, target)
    loss = -alpha * (1 - p) ** gamma * _log(p)
    output.copy_((loss * _weights(weight, target)[:, 0]).where(target >= 0, 0.0))


def softmax_focal_loss_backward(
    probabilities: Tensor, target: Tensor, weight: Tensor, buffer: Tensor, grad: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``grad`` (M, K) with the derivative of every row's loss by its logits."""
    p = _of_target(probabilities, target)
    slope = alpha * (-((1 - p) ** gamma) + gamma * (1 - p) ** (gamma - 1) * p * _log(p))
    slope = (slope * _weights(weight, target)[:, 0]).where(target >= 0, 0.0)
    grad.copy_(slope[:, None] * (_right(target, probabilities.shape[1]).float() - probabilities))


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=torch.finfo(torch.float32).tiny).log()


def _right(target: Tensor, classes: int) -> Tensor:
    """Return (M, K): whether a column is its row's target; none is where the target is no class."""
    return target[:, None] == torch.arange(classes, device=target.device)


def _of_target(probabilities: Tensor, target: Tensor) -> Tensor:
    return probabilities.float().gather(1, target.clamp(min=0)[:, None])[:, 0]


def _weights(weight: Tensor, target: Tensor) -> Tensor:
    """Return (M, 1): every row's weight by its target; 1 without weights."""
    if weight.numel() == 0:
        return target.new_ones((len(target), 1), dtype=torch.float32)
    return weight.float()[target.clamp(0, len(weight) - 1)][:, None]
