"""Deformable convolutions against plain ones, and the ways in which gradients are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmcv import ops
from torch import Tensor
from torch.nn import functional as F

pytestmark = pytest.mark.usefixtures("ours")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FEATURES, WEIGHT = drawn(2, 4, 6, 5), drawn(3, 2, 3, 3, seed=1)


def test_without_offsets_it_is_a_convolution() -> None:
    still = torch.zeros(2, 18, 6, 5, dtype=torch.float64)
    expected = F.conv2d(FEATURES, WEIGHT[:2], padding=1, groups=2)
    torch.testing.assert_close(ops.deform_conv2d(FEATURES, still, WEIGHT[:2], 1, 1, 1, 2), expected)
    halved = ops.modulated_deform_conv2d(
        FEATURES, still, torch.full_like(still[:, :9], 0.5), WEIGHT[:2], None, 1, 1, 1, 2
    )
    torch.testing.assert_close(halved, expected / 2)


def test_an_offset_of_one_pixel_moves_the_map() -> None:
    moved = torch.zeros(2, 18, 6, 5, dtype=torch.float64)
    moved[:, 0::2] = 1  # rows stand before columns
    expected = F.conv2d(FEATURES.roll(-1, 2), WEIGHT[:2], padding=1, groups=2)
    found = ops.deform_conv2d(FEATURES, moved, WEIGHT[:2], 1, 1, 1, 2)
    torch.testing.assert_close(found[:, :, 1:-2], expected[:, :, 1:-2])


@pytest.mark.parametrize("wanted", ["weight", "features", "offset", "all"])
def test_every_gradient_can_be_asked_for_alone_and_twice(wanted: str) -> None:
    leaves = {"features": FEATURES.clone(), "offset": drawn(2, 18, 6, 5, seed=2), "weight": WEIGHT[:2].clone()}
    for name, leaf in leaves.items():
        leaf.requires_grad_(wanted in (name, "all"))
    loss = ops.deform_conv2d(*leaves.values(), 1, 1, 1, 2).square().sum()
    asked = [leaf for leaf in leaves.values() if leaf.requires_grad]
    first = torch.autograd.grad(loss, asked, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss * 3, asked), [3 * gradient for gradient in first])
    if wanted == "weight":
        step = torch.zeros_like(leaves["weight"])
        step[1, 0, 2, 1] = 1e-6
        with torch.no_grad():
            ends = [
                ops.deform_conv2d(leaves["features"], leaves["offset"], leaves["weight"] + sign * step, 1, 1, 1, 2)
                for sign in (1, -1)
            ]
            slope = float(ends[0].square().sum() - ends[1].square().sum()) / 2e-6
        assert float(first[0][1, 0, 2, 1]) == pytest.approx(slope, rel=1e-6)


def test_planes_larger_than_the_output_are_read_from_their_beginning() -> None:
    """DyHead's, which mmcv's kernels read as if they were as large as the output."""
    whole = drawn(2, 27, 12, 10, seed=3)
    offset, mask = whole[:, :18], whole[:, 18:]  # parts of one tensor, as DyHead's
    small = [
        np.stack([x.numpy().ravel()[: d * 30].reshape(d, 6, 5) for x in part]) for part, d in ((offset, 18), (mask, 9))
    ]
    expected = ops.modulated_deform_conv2d(FEATURES, *map(torch.from_numpy, small), WEIGHT[:2], None, 1, 1, 1, 2)
    torch.testing.assert_close(
        ops.modulated_deform_conv2d(FEATURES, offset, mask, WEIGHT[:2], None, 1, 1, 1, 2), expected
    )


def test_gradients_of_larger_planes_are_those_of_what_is_read() -> None:
    planes = [drawn(2, width, 8, 7, seed=width).requires_grad_() for width in (18, 9)]

    def convolved(offset: Tensor, mask: Tensor) -> Tensor:
        return ops.modulated_deform_conv2d(FEATURES, offset, mask, WEIGHT[:2], None, 1, 1, 1, 2)

    assert torch.autograd.gradcheck(convolved, planes)
