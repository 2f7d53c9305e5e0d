"""Multi-scale deformable attention in plain torch: mmcv's own form of it, which mmcv takes on a CPU only."""

from __future__ import annotations

import torch
from torch import Tensor


def ms_deform_attn_forward(
    value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor, im2col_step: int
) -> Tensor:
    """Return (N, Q, heads * D), every query's weighted mean of the values at its sampling locations.

    Args:
        value: (N, positions of all levels, heads, D).
        shapes: (levels, 2), height and width of each.
        starts: (levels,) first position of each; follows from ``shapes``.
        locations: (N, Q, heads, levels, points, 2) in [0, 1], column before row.
        weights: (N, Q, heads, levels, points).
        im2col_step: of the CUDA kernel; changes nothing.
    """
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)


def ms_deform_attn_backward(
    value: Tensor,
    shapes: Tensor,
    starts: Tensor,
    locations: Tensor,
    weights: Tensor,
    grad: Tensor,
    *targets: Tensor,
    im2col_step: int,
) -> None:
    """Fill ``targets``, the gradients of ``value``, ``locations`` and ``weights``; the forward pass is done again."""
    inputs = [tensor.detach().requires_grad_() for tensor in (value, locations, weights)]
    with torch.enable_grad():
        output = ms_deform_attn_forward(inputs[0], shapes, starts, inputs[1], inputs[2], im2col_step)
    for target, found in zip(targets, torch.autograd.grad(output, inputs, grad), strict=True):
        target.copy_(found)
