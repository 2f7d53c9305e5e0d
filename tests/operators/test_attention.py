"""Multi-scale deformable attention, as a GPU asks for it, against a loop over samples."""

from __future__ import annotations

import math

import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from torch import Tensor

pytestmark = pytest.mark.usefixtures("ours")
SHAPES = torch.tensor([[3, 5], [2, 1]])
STARTS = torch.tensor([0, 15])


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Return values (1, 17, 2 heads, 3), locations (1, 4 queries, 2, 2 levels, 3 points, 2) and weights."""
    rng = torch.Generator().manual_seed(0)
    value = torch.randn(1, 17, 2, 3, generator=rng, dtype=torch.float64)
    locations = torch.rand(1, 4, 2, 2, 3, 2, generator=rng, dtype=torch.float64) * 1.4 - 0.2
    weights = torch.rand(1, 4, 2, 2, 3, generator=rng, dtype=torch.float64)
    return value, locations, weights


def sample(grid: Tensor, x: float, y: float) -> Tensor:
    """Return the bilinear mean of (H, W, D) around a place in [0, 1]; outside the grid everything is 0."""
    height, width, depth = grid.shape
    u, v = x * width - 0.5, y * height - 0.5
    total = torch.zeros(depth, dtype=grid.dtype)
    for row in (math.floor(v), math.floor(v) + 1):
        for column in (math.floor(u), math.floor(u) + 1):
            if 0 <= row < height and 0 <= column < width:
                total = total + grid[row, column] * (1 - abs(u - column)) * (1 - abs(v - row))
    return total


def test_every_query_gets_the_weighted_samples_of_all_levels() -> None:
    value, locations, weights = inputs()
    found = MultiScaleDeformableAttnFunction.apply(value, SHAPES, STARTS, locations, weights, 64)
    for query in range(4):
        for head in range(2):
            expected = torch.zeros(3, dtype=torch.float64)
            for level, (height, width) in enumerate(SHAPES.tolist()):
                start = int(STARTS[level])
                grid = value[0, start : start + height * width, head].view(height, width, 3)
                for point in range(3):
                    x, y = locations[0, query, head, level, point].tolist()
                    expected += weights[0, query, head, level, point] * sample(grid, x, y)
            torch.testing.assert_close(found[0, query, 3 * head : 3 * head + 3], expected)


def test_its_gradients_are_those_of_differences() -> None:
    leaves = [tensor.requires_grad_() for tensor in inputs()]
    assert torch.autograd.gradcheck(
        lambda value, locations, weights: MultiScaleDeformableAttnFunction.apply(
            value, SHAPES, STARTS, locations, weights, 64
        ),
        leaves,
    )
