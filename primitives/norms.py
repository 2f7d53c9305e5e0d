"""Norms and regroupings of maps and rows."""

import torch
import torch.nn.functional as F
from torch import Tensor

from detkds_gp.language import Algebra, Map, Rows, transform

EPS = 1e-6  # lengths and deviations below it count as zero; it bounds their gradient
GRAM_SIDE = 16


@transform(
    Map,
    Map,
    shape="n c h w -> n c h w",
    latex=r"\widehat{#1}_{c}",
    algebra=Algebra(idempotent=True),
)
def unit_channel(x: Tensor) -> Tensor:
    """Scale the channel vector of every position to length 1; a vector of zeros stays zero."""
    length = x.norm(dim=1, keepdim=True)
    return torch.where(length < EPS, 0.0, x / length.clamp_min(EPS))


@transform(
    Map,
    Map,
    shape="n c h w -> n c h w",
    latex=r"\widehat{#1}_{hw}",
    algebra=Algebra(idempotent=True),
)
def unit_space(x: Tensor) -> Tensor:
    """Scale every channel's map to length 1; a map of zeros stays zero."""
    length = x.norm(dim=(2, 3), keepdim=True)
    return torch.where(length < EPS, 0.0, x / length.clamp_min(EPS))


@transform(
    Map,
    Map,
    shape="n c h w -> n c h w",
    latex=r"\overline{#1}_{nhw}",
    algebra=Algebra(idempotent=True),
)
def standardize_channel(x: Tensor) -> Tensor:
    """Bring every channel to mean 0 and variance 1 over images and positions.

    Source: PKD (NeurIPS 2022), sec. 3.2.
    """
    if not len(x):
        return x
    # Batch norm alone loses the digits of a channel that hardly varies: it is centred before. And
    # unlike F.batch_norm, the function below takes a single 1x1 map.
    centred = x - x.detach().mean(dim=(0, 2, 3), keepdim=True)
    statistics = (None, None, None, None, True, 0.0)
    return torch.batch_norm(centred, *statistics, EPS**2, torch.backends.cudnn.enabled)


@transform(Rows, Rows, shape="m d -> m d", latex=r"\widehat{#1}", algebra=Algebra(idempotent=True))
def unit_row(x: Tensor) -> Tensor:
    """Scale every row to length 1; a row of zeros stays zero."""
    length = x.norm(dim=1, keepdim=True)
    return torch.where(length < EPS, 0.0, x / length.clamp_min(EPS))


@transform(Rows, Rows, shape="m d -> m d", latex=r"\overline{#1}", algebra=Algebra(idempotent=True))
def standardize_row(x: Tensor) -> Tensor:
    """Bring every row to mean 0 and variance 1.

    Source: logit standardization (CVPR 2024).
    """
    return F.layer_norm(x, x.shape[1:], eps=EPS**2)


@transform(Map, Rows, shape="n c h w -> (n c) (h w)", latex=r"[#1]_{nc}")
def flatten_space(x: Tensor) -> Tensor:
    """Make one row of every channel of every image: its H W positions."""
    return x.flatten(2).flatten(0, 1)


@transform(Map, Rows, shape="n c h w -> (n h w) c", latex=r"[#1]_{nhw}")
def positions(x: Tensor) -> Tensor:
    """Make one row of every position of every image: its C channels."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


@transform(Map, Rows, shape="n c h w -> n (c h w)", latex=r"[#1]_{n}")
def flatten_image(x: Tensor) -> Tensor:
    """Make one row of every image."""
    return x.flatten(1)


@transform(Map, Rows, shape="n c h w -> (n c) c", latex=r"G_{c}(#1)")
def channel_gram(x: Tensor) -> Tensor:
    """Take the inner products of all pairs of channels, divided by H W; one row a channel.

    Source: DetKDS, `bmm`.
    """
    rows = x.flatten(2)
    return torch.bmm(rows, rows.transpose(1, 2)).flatten(0, 1) / rows.shape[2]


@transform(Map, Rows, shape="n c h w -> n 65536", latex=r"G_{hw}(#1)")
def space_gram(x: Tensor) -> Tensor:
    """Take the inner products of all pairs of positions, divided by C; one row an image.

    The map is averaged or repeated to 16 x 16 positions first, so that the result stays small.
    Source: DetKDS, `bmm`, over positions.
    """
    rows = F.adaptive_avg_pool2d(x, GRAM_SIDE).flatten(2)
    return torch.bmm(rows.transpose(1, 2), rows).flatten(1) / rows.shape[1]
