"""Primitives of the kinds that published searches contain and no loss should: forced past the contract."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from detkds_gp.language import Loss, Map, PairTransform, Probs, Transform


def features_kl(s, t):
    return F.kl_div(s, t, reduction="batchmean", log_target=True)


def features_kl_of_plain_target(s, t):
    return F.kl_div(s, t, reduction="batchmean")


def similarity(s, t):
    return F.cosine_similarity(s, t, dim=1).mean()


def product(s, t):
    return (s * t).mean()


def shifted_similarity(s, t):
    return F.cosine_similarity(s, t, dim=1).mean() - 1


def mask_of_each_side(x):
    return x * (torch.rand_like(x) < 0.35)


def two_masks(s, t):
    return mask_of_each_side(s), mask_of_each_side(t)


def norm_over_images(x):
    return F.normalize(x, dim=0)


def softmax_over_images(x):
    return x.flatten(2).flatten(0, 1).log_softmax(dim=0)


def less_every_image(x):
    return x / torch.arange(1, len(x) + 1).view(-1, 1, 1, 1)


def uphill(s, t):
    gap = (s - t).square().mean()
    return 2 * gap.detach() - gap


def lopsided(x):
    return torch.cat([1e5 * x[:1], x[1:]])


class RandomTransform(Transform):
    """A transform that says that it draws, as no decorator lets one say."""

    random = True


DISTANCE = {"result": Loss}
REJECTED = {
    "unnormalised KL": ("features_kl(global)", features_kl, DISTANCE, "negative"),
    "KL of what is no distribution": ("plain_kl(global)", features_kl_of_plain_target, DISTANCE, "finite"),
    "similarity as distance": ("similarity(global)", similarity, DISTANCE, "zero"),
    "product as distance": ("product(global)", product, DISTANCE, "zero"),
    "similarity less one": ("shifted(global)", shifted_similarity, DISTANCE, "negative"),
    "unshared masks": ("l2(mask(global))", mask_of_each_side, {}, "zero"),
    "unshared masks, called random": ("l2(mask(global))", mask_of_each_side, {"role": RandomTransform}, "shared"),
    "two masks of a pair": ("l2(mask(global))", two_masks, {"role": PairTransform, "random": True}, "shared"),
    "norm over the batch, squared": ("l2(norm(global))", norm_over_images, {}, "doubled"),
    "norm over the batch, absolute": ("l1(norm(global))", norm_over_images, {}, "doubled"),
    "softmax over the batch": ("kl(softmax(global))", softmax_over_images, {"result": Probs}, "doubled"),
    "images in order": ("l2(less(global))", less_every_image, {}, "order"),
    "uphill": ("uphill(global)", uphill, DISTANCE, "descent"),
    "lopsided": ("l1(lopsided(global))", lopsided, {}, "order"),
}
"""By what is wrong: formula, function, how it is declared, and the check that has to find it."""


def declared(case: str) -> tuple[str, str, object, dict[str, object], str]:
    """Return formula, primitive's name, function, declaration and expected check of a case."""
    formula, function, more, check = REJECTED[case]
    name = formula.removeprefix("l2(").removeprefix("l1(").removeprefix("kl(").partition("(")[0]
    return formula, name, function, {"arguments": (Map,), **more}, check
