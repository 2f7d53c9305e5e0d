"""Scale: coarser maps and local patches."""

import torch.nn.functional as F
from torch import Tensor

from detkds_gp.language import Map, Rows, transform


@transform(Map, Map, shape="n c h w -> n c h/2 w/2", latex=r"\downarrow_{2}(#1)")
def max_pool_2(x: Tensor) -> Tensor:
    """Take the maximum of every 2 x 2 cell; a cell cut off by the border counts what it has."""
    return F.max_pool2d(x, 2, ceil_mode=True)


@transform(Map, Map, shape="n c h w -> n c h/4 w/4", latex=r"\downarrow_{4}(#1)")
def max_pool_4(x: Tensor) -> Tensor:
    """Take the maximum of every 4 x 4 cell; a cell cut off by the border counts what it has."""
    return F.max_pool2d(x, 4, ceil_mode=True)


def _patches(x: Tensor, side: int) -> Tensor:
    h, w = x.shape[2:]
    x = F.pad(x, (0, -w % side, 0, -h % side))
    cells = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    return cells.transpose(3, 4).flatten(4).flatten(0, 3)


@transform(Map, Rows, shape="n c h w -> (n c h/2 w/2) 4", latex=r"\boxplus_{2}(#1)")
def patches_2(x: Tensor) -> Tensor:
    """Cut every channel into 2 x 2 patches, one row each; the border is padded with zeros.

    A norm or softmax over the rows then acts locally. Source: DetKDS, `local_s2`.
    """
    return _patches(x, 2)


@transform(Map, Rows, shape="n c h w -> (n c h/4 w/4) 16", latex=r"\boxplus_{4}(#1)")
def patches_4(x: Tensor) -> Tensor:
    """Cut every channel into 4 x 4 patches, one row each; the border is padded with zeros.

    A norm or softmax over the rows then acts locally. Source: DetKDS, `local_s4`.
    """
    return _patches(x, 4)
