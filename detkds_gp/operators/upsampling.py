"""Content-aware upsampling (CARAFE, Wang et al., ICCV 2019) in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate, unfold


def reassemble(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """Return (N, C, s * H, s * W): at every place the neighbourhood below it, weighted by its own filter.

    Args:
        features: (N, C, H, W).
        masks: (N, groups * kernel_size ** 2, s * H, s * W), a filter for each place and group of channels.
        kernel_size: odd; what lies outside the map counts as 0.
        group_size: number of groups.
        scale_factor: s.
    """
    images, channels, height, width = features.shape
    around = unfold(features, kernel_size, padding=kernel_size // 2)
    around = interpolate(around.view(images, -1, height, width), scale_factor=scale_factor, mode="nearest")
    size = around.shape[2:]
    seen = around.view(images, group_size, channels // group_size, kernel_size**2, *size)
    filters = masks.view(images, group_size, 1, kernel_size**2, *size)
    return (seen * filters).sum(3).view(images, channels, *size)


def carafe_naive_forward(features: Tensor, masks: Tensor, output: Tensor, **options: int) -> None:
    """Fill ``output`` with the upsampled features."""
    output.copy_(reassemble(features, masks, **options))


def carafe_naive_backward(
    grad: Tensor, features: Tensor, masks: Tensor, grad_features: Tensor, grad_masks: Tensor, **options: int
) -> None:
    """Fill the gradients of features and masks; the forward pass is done again."""
    inputs = [tensor.detach().requires_grad_() for tensor in (features, masks)]
    with torch.enable_grad():
        output = reassemble(inputs[0], inputs[1], **options)
    for target, found in zip((grad_features, grad_masks), torch.autograd.grad(output, inputs, grad), strict=True):
        target.copy_(found)


def carafe_forward(features: Tensor, masks: Tensor, kept_features: Tensor, *rest: Tensor, **options: int) -> None:
    """Fill the last of ``rest``, and ``kept_features`` with what ``carafe_backward`` gets; the others are buffers."""
    kept_features.copy_(features)
    carafe_naive_forward(features, masks, rest[-1], **options)


def carafe_backward(grad: Tensor, kept_features: Tensor, masks: Tensor, *rest: Tensor, **options: int) -> None:
    """Fill the gradients of features and masks, the last two of ``rest``; the others are the kernel's buffers."""
    grad_features, grad_masks = rest[-2:]
    carafe_naive_backward(grad, kept_features, masks, grad_features, grad_masks, **options)
