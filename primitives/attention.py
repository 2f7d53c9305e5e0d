"""Attention: a map weighted by where, or in which channel, it is strong.

Sources: FGD (CVPR 2022), eq. 1 to 4; DetKDS, `satt` and `catt`.
"""

import torch
from torch import Tensor

from detkds_gp.language import Field, Map, Temperature, pair_transform, transform


def space_weights(x: Tensor, temperature: float) -> Tensor:
    """Return H W softmax over space of the mean magnitude of the channels: (N, 1, H, W), mean 1."""
    strength = x.abs().mean(dim=1, keepdim=True) / temperature
    return strength.flatten(2).softmax(dim=2).view_as(strength) * (x.shape[2] * x.shape[3])


def channel_weights(x: Tensor, temperature: float) -> Tensor:
    """Return C softmax over channels of the mean magnitude over space: (N, C, 1, 1), mean 1."""
    strength = x.abs().mean(dim=(2, 3), keepdim=True) / temperature
    return strength.softmax(dim=1) * x.shape[1]


def root(field: Tensor) -> Tensor:
    """Take the square root; at 0 it is 0 with gradient 0, where the root's own is infinite."""
    return field.clamp_min(1e-12).sqrt() * (field > 0)


@transform((Map, Temperature), Map, shape="n c h w -> n c h w", latex=r"A^{s}_{#2}(#1)")
def spatial_attention(x: Tensor, temperature: float) -> Tensor:
    """Weight every position by the root of its spatial attention, H W softmax(mean_c |x| / T).

    Source: DetKDS, `satt` (T = 0.5).
    """
    return x * root(space_weights(x, temperature))


@transform((Map, Temperature), Map, shape="n c h w -> n c h w", latex=r"A^{c}_{#2}(#1)")
def channel_attention(x: Tensor, temperature: float) -> Tensor:
    """Weight every channel by the root of its attention, C softmax(mean_hw |x| / T).

    Source: DetKDS, `catt` (T = 0.5).
    """
    return x * root(channel_weights(x, temperature))


@transform((Map, Temperature), Map, shape="n c h w -> n 1 h w", latex=r"S_{#2}(#1)")
def spatial_attention_map(x: Tensor, temperature: float) -> Tensor:
    """Take the spatial attention H W softmax(mean_c |x| / T) itself, to be compared.

    Source: FGD (CVPR 2022), eq. 1 and 3, and its attention loss.
    """
    return space_weights(x, temperature)


@transform((Map, Temperature), Map, shape="n c h w -> n c 1 1", latex=r"C_{#2}(#1)")
def channel_attention_map(x: Tensor, temperature: float) -> Tensor:
    """Take the channel attention C softmax(mean_hw |x| / T) itself, to be compared.

    Source: FGD (CVPR 2022), eq. 2 and 4, and its attention loss.
    """
    return channel_weights(x, temperature)


@pair_transform((Map, Temperature), Field, shape="n c h w -> n 1 h w", latex=r"\alpha^{s}_{#2}(#1)")
def teacher_spatial_attention(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Take the teacher's spatial attention H W softmax(mean_c |x| / T) as a field for both sides.

    Source: FGD (CVPR 2022), eq. 1 and 3.
    """
    return space_weights(teacher, temperature)


@pair_transform((Map, Temperature), Field, shape="n c h w -> n c 1 1", latex=r"\alpha^{c}_{#2}(#1)")
def teacher_channel_attention(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Take the teacher's channel attention C softmax(mean_hw |x| / T) as a field for both sides.

    Source: FGD (CVPR 2022), eq. 2 and 4.
    """
    return channel_weights(teacher, temperature)


@pair_transform(Map, Field, shape="n c h w -> n 1 h w", latex=r"\delta(#1)")
def disagreement(student: Tensor, teacher: Tensor) -> Tensor:
    """Take the mean magnitude of the difference at every position as a field, without gradient.

    Source: BCKD's |student - teacher| weighting, for maps.
    """
    return (student - teacher).abs().mean(dim=1, keepdim=True).detach()


@transform((Map, Field), Map, shape="n c h w -> n c h w", latex=r"#2 \odot #1")
def weighted(x: Tensor, field: Tensor) -> Tensor:
    """Multiply a map by the root of a field, so that a squared distance is weighted by it.

    A field with more or fewer positions than the map is averaged to the map's size first.
    """
    if field.shape[-2:] not in ((1, 1), x.shape[-2:]):
        field = torch.nn.functional.adaptive_avg_pool2d(field, (x.shape[-2], x.shape[-1]))
    return x * root(field)
