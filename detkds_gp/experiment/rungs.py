"""How many candidates climb to which rung, and the training steps that a search plans."""

from __future__ import annotations

from math import ceil

from detkds_gp.fitness import ProxySettings
from detkds_gp.search import SearchSettings


def survivors(count: int, keep: float) -> int:
    """Return how many of some candidates on a rung train on; one does at least."""
    return max(1, ceil(count * keep - 1e-9)) if count else 0


def climbers(count: int, proxy: ProxySettings) -> list[int]:
    """Return how many of some candidates of one niche are trained to each rung, the whole training last."""
    counts = [count]
    for _ in proxy.rungs:
        counts.append(survivors(counts[-1], proxy.keep))
    return counts


def planned_iterations(search: SearchSettings, proxy: ProxySettings, niches: int) -> int:
    """Return the training steps that a search plans.

    Args:
        search: sizes of its generations.
        proxy: length of a training, and its rungs.
        niches: knowledges that are searched.
    """
    steps = [*proxy.rungs, proxy.iterations]
    total = 0
    for sizes, groups in ((search.divide, niches), (search.conquer, 1)):
        for size in (sizes.population, *[sizes.offspring] * sizes.generations):
            counts = climbers(size, proxy)
            lengths = [later - earlier for earlier, later in zip([0, *steps], steps, strict=False)]
            total += groups * sum(count * length for count, length in zip(counts, lengths, strict=True))
    return total
