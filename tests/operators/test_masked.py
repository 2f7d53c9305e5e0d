from __future__ import annotations

import pytest
import torch
from mmcv import ops
from torch.nn import functional as F

pytestmark = pytest.mark.usefixtures("ours")


@pytest.mark.parametrize(("kernel", "padding"), [((3, 3), 1), ((1, 3), (0, 1)), ((1, 1), 0)])
def test_a_masked_convolution_is_the_plain_one_where_the_mask_is_set(kernel: tuple[int, int], padding: int) -> None:
    torch.manual_seed(0)
    features, weight, bias = torch.randn(1, 4, 5, 7), torch.randn(6, 4, *kernel), torch.randn(6)
    mask = torch.rand(1, 5, 7) > 0.6
    expected = F.conv2d(features, weight, bias, padding=padding) * mask[:, None]
    torch.testing.assert_close(ops.masked_conv2d(features, mask, weight, bias, padding), expected)
    assert not ops.masked_conv2d(features, torch.zeros_like(mask), weight, bias, padding).any()
