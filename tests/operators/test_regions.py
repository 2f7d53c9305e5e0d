"""RoIPool against a loop over bins, and RoIAlign's gradient against differences."""

from __future__ import annotations

import math

import pytest
import torch
from mmcv import ops
from torch import Tensor

pytestmark = pytest.mark.usefixtures("ours")
ROIS = torch.tensor([[0, 0, 0, 9, 7], [1, 2, 1, 4, 6], [0, 5, 5, 5, 5], [1, 30, 30, 40, 40.0]], dtype=torch.float64)


def features() -> Tensor:
    """Return (2, 2, 7, 9) distinct numbers."""
    return torch.randperm(252, generator=torch.Generator().manual_seed(0)).double().reshape(2, 2, 7, 9)


def slowly_pooled(maps: Tensor, roi: Tensor, bins: int, scale: float) -> Tensor:
    image, *corners = [int(roi[0]), *(math.floor(float(c) * scale + 0.5) for c in roi[1:])]
    left, top, right, bottom = corners
    width, height = max(right - left + 1, 1) / bins, max(bottom - top + 1, 1) / bins
    pooled = torch.zeros(maps.shape[1], bins, bins, dtype=maps.dtype)
    for row in range(bins):
        for column in range(bins):
            ys = slice(*(min(max(top + y, 0), 7) for y in (math.floor(row * height), math.ceil((row + 1) * height))))
            xs = slice(
                *(min(max(left + x, 0), 9) for x in (math.floor(column * width), math.ceil((column + 1) * width)))
            )
            inside = maps[image, :, ys, xs].flatten(1)
            if inside.numel():
                pooled[:, row, column] = inside.max(1).values
    return pooled


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_roi_pool_takes_the_maximum_of_every_bin(scale: float) -> None:
    maps = features()
    expected = torch.stack([slowly_pooled(maps, roi, 3, scale) for roi in ROIS])
    assert torch.equal(ops.roi_pool(maps, ROIS, 3, scale), expected)


def test_gradients_of_pooled_regions_are_those_of_differences() -> None:
    maps = features().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ops.roi_pool(x, ROIS, 2, 1.0), (maps,))
    assert torch.autograd.gradcheck(lambda x: ops.roi_align(x, ROIS, 2, 0.5, 2, "avg", True), (maps,))


def test_no_regions_give_no_rows_and_no_gradient() -> None:
    maps = features().requires_grad_()
    pooled = ops.roi_pool(maps, ROIS[:0], 3, 1.0)
    assert pooled.shape == (0, 2, 3, 3)
    pooled.sum().backward()
    assert not maps.grad.any()
