"""Pair transforms: what must see both sides, such as a random mask drawn once and shared."""

import torch
from torch import Tensor

from detkds_gp.language import Map, Ratio, pair_transform


@pair_transform((Map, Ratio), Map, shape="n c h w -> n c h w", latex=r"M_{#2}(#1)", random=True)
def shared_mask(student: Tensor, teacher: Tensor, kept: float) -> tuple[Tensor, Tensor]:
    """Keep a random share of the positions, the same on both sides and in all channels.

    Draws from torch's global generator. Source: DetKDS `mask` (35% kept), MGD (ECCV 2022), sec. 3.
    """
    n, _, h, w = student.shape
    mask = (torch.rand(n, 1, h, w, device=student.device) < kept).to(student.dtype)
    return student * mask, teacher * mask


@pair_transform((Map, Ratio), Map, shape="n c h w -> n c h w", latex=r"D_{#2}(#1)", random=True)
def shared_dropout(student: Tensor, teacher: Tensor, dropped: float) -> tuple[Tensor, Tensor]:
    """Drop a random share of the numbers, the same on both sides, and scale up the rest.

    Draws from torch's global generator. Source: DetKDS `drop` (10% dropped).
    """
    kept = (torch.rand_like(student) >= dropped).to(student.dtype) / (1 - dropped)
    return student * kept, teacher * kept
