"""Rungs: how many candidates climb to which, and the training steps that a search plans."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from detkds_gp.fitness import ProxySettings

if TYPE_CHECKING:
    from detkds_gp.search import Generation


def survivors(count: int, keep: float) -> int:
    """Return how many of some candidates on a rung train on; one does at least."""
    return max(1, ceil(count * keep - 1e-9)) if count else 0


def climbers(count: int, proxy: ProxySettings) -> list[int]:
    """Return how many of some candidates of one niche are trained to each rung, the whole training last."""
    counts = [count]
    for _ in proxy.rungs:
        counts.append(survivors(counts[-1], proxy.keep))
    return counts


def planned_iterations(generations: Sequence[Generation], proxy: ProxySettings) -> int:
    """Return the training steps of some generations.

    Args:
        generations: that a strategy plans.
        proxy: length of a training, and its rungs.
    """
    lengths = [later - earlier for earlier, later in pairwise([0, *proxy.rungs, proxy.iterations])]
    each = [sum(n * length for n, length in zip(climbers(g.size, proxy), lengths, strict=True)) for g in generations]
    return sum(len(one.niches) * steps for one, steps in zip(generations, each, strict=True))
