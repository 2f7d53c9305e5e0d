"""RoIAlign and RoIPool by torchvision's kernels, which are the ones that mmcv's came from.

mmcv hands over the tensors to fill; regions are (R, 5) rows of image index and xyxy corners in input pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detkds_gp.operators.missing import missing

AVERAGE = 1
"""mmcv's number of the pool mode ``avg``."""


def roi_align_forward(
    features: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **options: Any
) -> None:
    """Fill ``output`` (R, C, h, w) with the means of bilinear samples of ``features`` (N, C, H, W).

    Raises:
        MissingOperator: for ``pool_mode="max"``.
    """
    if options["pool_mode"] != AVERAGE:
        missing("roi_align_forward", "with pool_mode='max'")()
    height, width, scale, samples, aligned = _grid(options)
    output.copy_(torch.ops.torchvision.roi_align(features, rois, scale, height, width, samples, aligned))


def roi_align_backward(
    grad: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_features: Tensor, **options: Any
) -> None:
    """Fill ``grad_features`` (N, C, H, W) from ``grad`` (R, C, h, w)."""
    height, width, scale, samples, aligned = _grid(options)
    backward = torch.ops.torchvision._roi_align_backward
    size = grad_features.shape
    grad_features.copy_(backward(grad, rois, scale, height, width, *size, samples, aligned))


def _grid(options: dict[str, Any]) -> tuple[int, int, float, int, bool]:
    return (
        options["aligned_height"],
        options["aligned_width"],
        options["spatial_scale"],
        options["sampling_ratio"],
        options["aligned"],
    )


def roi_pool_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fill ``output`` (R, C, h, w) with maxima of ``features`` (N, C, H, W) and ``argmax`` with their places."""
    pooled, places = torch.ops.torchvision.roi_pool(features, rois, spatial_scale, pooled_height, pooled_width)
    output.copy_(pooled)
    argmax.copy_(places)


def roi_pool_backward(
    grad: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_features: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fill ``grad_features`` (N, C, H, W) from ``grad`` (R, C, h, w)."""
    backward = torch.ops.torchvision._roi_pool_backward
    size = grad_features.shape
    grad_features.copy_(backward(grad, rois, argmax, spatial_scale, pooled_height, pooled_width, *size))
