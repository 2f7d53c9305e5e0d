"""Deformable convolution, plain and modulated, by torchvision's kernels.

Offsets are (N, 2 * D * k * k, h, w), rows before columns, and masks (N, D * k * k, h, w) for D groups of offsets: the
layout of mmcv and torchvision alike. mmcv hands over the tensors to fill.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d

PLAIN = "dH dW padH padW dilationH dilationW"
MODULATED = "stride_h stride_w pad_h pad_w dilation_h dilation_w"


def deform_conv_forward(
    features: Tensor, weight: Tensor, offset: Tensor, output: Tensor, *buffers: Tensor, **grid: int
) -> None:
    """Fill ``output`` (N, O, h, w) with the convolution of ``features`` (N, C, H, W) sampled at ``offset``."""
    output.copy_(deform_conv2d(features, offset, weight, None, *_pairs(grid, PLAIN)))


def deform_conv_backward_input(
    features: Tensor,
    offset: Tensor,
    grad: Tensor,
    grad_features: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **grid: int,
) -> None:
    """Fill the gradients of features and offsets; leave that of the weight in ``columns``, the calls' common buffer."""
    found = _backward(grad, features, weight, offset, **grid)
    grad_features.copy_(found[0])
    grad_offset.copy_(found[2])
    columns.resize_as_(found[1]).copy_(found[1])


def deform_conv_backward_parameters(
    features: Tensor,
    offset: Tensor,
    grad: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **grid: int,
) -> None:
    """Add ``scale`` times the gradient to ``grad_weight``, from ``columns`` where the other call has left it."""
    if columns.shape != grad_weight.shape:
        columns = _backward(grad, features, grad_weight, offset, **grid)[1]  # does not depend on the weight's values
    grad_weight.add_(columns, alpha=scale)


def _backward(grad: Tensor, features: Tensor, weight: Tensor, offset: Tensor, **grid: int) -> tuple[Tensor, ...]:
    """Return the gradients of features, weight, offset, mask and bias of a convolution without mask and bias."""
    mask, bias = features.new_zeros((len(features), 1)), features.new_zeros(len(weight))
    places = _places(grid, PLAIN + " group deformable_group")
    return torch.ops.torchvision._deform_conv2d_backward(grad, features, weight, offset, mask, bias, *places, False)


def modulated_deform_conv_forward(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **grid: int,
) -> None:
    """Fill ``output`` (N, O, h, w); every sample of ``features`` is multiplied by its ``mask``."""
    offset, mask = (_packed(x, output.shape[2:]) for x in (offset, mask))
    added = bias if with_bias else None
    output.copy_(deform_conv2d(features, offset, weight, added, *_pairs(grid, MODULATED), mask))


def modulated_deform_conv_backward(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    *rest: Any,
    **grid: Any,
) -> None:
    """Fill the gradients of features, weight, bias, offset and mask, which ``rest`` names before the output's."""
    *wanted, grad = rest
    places = _places(grid, MODULATED + " group deformable_group")
    bias = bias if grid["with_bias"] else features.new_zeros(len(weight))
    offset, mask = (_packed(x, grad.shape[2:]) for x in (offset, mask))
    backward = torch.ops.torchvision._deform_conv2d_backward
    made = backward(grad, features, weight, offset, mask, bias, *places, True)  # the bias's comes last
    for target, found in zip(wanted, (*made[:2], made[4], *made[2:4]), strict=True):
        if target.ndim == 4:
            _packed(target, found.shape[2:]).copy_(found)
        elif target.shape == found.shape:  # mmcv's stand-in for no bias is empty
            target.copy_(found)


def _packed(planes: Tensor, size: torch.Size) -> Tensor:
    """Return a view of planes (N, D, h, w) as mmcv's kernels read them: D planes of the output's size, one on another.

    DyHead hands over the offsets of a level that is larger than the output. Where mmcv's kernels read them
    (``modulated_deform_conv_cuda_kernel.cuh``, ``data_offset_ptr``), the beginning of every image's numbers is taken.
    """
    count, width = planes.shape[:2]
    numbers = width * size.numel()
    if planes.shape[2:] == size or planes[0].numel() < numbers:
        return planes
    return planes.view(count, -1)[:, :numbers].view(count, width, *size)


def _places(grid: dict[str, Any], names: str) -> list[int]:
    return [grid[name] for name in names.split()]


def _pairs(grid: dict[str, Any], names: str) -> list[tuple[int, int]]:
    """Return stride, padding and dilation of both axes."""
    values = _places(grid, names)
    return list(zip(values[::2], values[1::2], strict=True))
