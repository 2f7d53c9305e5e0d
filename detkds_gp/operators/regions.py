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
    scale, *grid = _values(options, "spatial_scale aligned_height aligned_width sampling_ratio aligned")
    output.copy_(torch.ops.torchvision.roi_align(features, rois, scale, *grid))


def roi_align_backward(
    grad: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_features: Tensor, **options: Any
) -> None:
    """Fill ``grad_features`` (N, C, H, W) from ``grad`` (R, C, h, w)."""
    grid, sampling = _values(options, "spatial_scale aligned_height aligned_width"), "sampling_ratio aligned"
    backward = torch.ops.torchvision._roi_align_backward
    grad_features.copy_(backward(grad, rois, *grid, *grad_features.shape, *_values(options, sampling)))


def roi_pool_forward(features: Tensor, rois: Tensor, output: Tensor, argmax: Tensor, **options: Any) -> None:
    """Fill ``output`` (R, C, h, w) with maxima of ``features`` (N, C, H, W) and ``argmax`` with their places."""
    grid = _values(options, "spatial_scale pooled_height pooled_width")
    pooled, places = torch.ops.torchvision.roi_pool(features, rois, *grid)
    output.copy_(pooled)
    argmax.copy_(places)


def roi_pool_backward(grad: Tensor, rois: Tensor, argmax: Tensor, grad_features: Tensor, **options: Any) -> None:
    """Fill ``grad_features`` (N, C, H, W) from ``grad`` (R, C, h, w)."""
    grid = _values(options, "spatial_scale pooled_height pooled_width")
    backward = torch.ops.torchvision._roi_pool_backward
    grad_features.copy_(backward(grad, rois, argmax, *grid, *grad_features.shape))


def _values(options: dict[str, Any], names: str) -> list[Any]:
    return [options[name] for name in names.split()]
