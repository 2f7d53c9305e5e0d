"""CARAFE against a loop over places, and its gradients against differences; mmcv has it for GPUs only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from detkds_gp.operators.upsampling import carafe_backward, carafe_forward, carafe_naive_backward, carafe_naive_forward

OPTIONS = {"kernel_size": 3, "group_size": 2, "scale_factor": 2}


def inputs() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(2, 4, 3, 5, generator=rng, dtype=torch.float64)
    return features, torch.randn(2, 18, 6, 10, generator=rng, dtype=torch.float64)


def slowly(features: Tensor, masks: Tensor) -> Tensor:
    output = torch.zeros(2, 4, 6, 10, dtype=features.dtype)
    for row in range(6):
        for column in range(10):
            for channel in range(4):
                for y in range(3):
                    for x in range(3):
                        v, u = row // 2 + y - 1, column // 2 + x - 1
                        if 0 <= v < 3 and 0 <= u < 5:
                            weight = masks[:, (channel // 2) * 9 + y * 3 + x, row, column]
                            output[:, channel, row, column] += features[:, channel, v, u] * weight
    return output


@pytest.mark.parametrize("naive", [True, False])
def test_every_place_sums_its_neighbourhood_with_its_own_filter(naive: bool) -> None:
    features, masks = inputs()
    grad = torch.randn(2, 4, 6, 10, dtype=torch.float64)
    output, kept = torch.zeros_like(grad), torch.zeros_like(features)
    of_features, of_masks, buffer = torch.zeros_like(features), torch.zeros_like(masks), torch.zeros(())
    if naive:
        carafe_naive_forward(features, masks, output, **OPTIONS)
        carafe_naive_backward(grad, features, masks, of_features, of_masks, **OPTIONS)
    else:
        carafe_forward(features, masks, kept, buffer, buffer, output, **OPTIONS)
        carafe_backward(grad, kept, masks, buffer, buffer, buffer, buffer, of_features, of_masks, **OPTIONS)
    torch.testing.assert_close(output, slowly(features, masks))
    leaves = [tensor.requires_grad_() for tensor in inputs()]
    expected = torch.autograd.grad(slowly(*leaves), leaves, grad)
    torch.testing.assert_close([of_features, of_masks], list(expected))
