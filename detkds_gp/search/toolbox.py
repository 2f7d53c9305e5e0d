"""A DEAP toolbox whose operators are repeatable, and the divide-and-conquer selection."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from deap import base, tools

from detkds_gp.search.settings import SearchSettings


@contextmanager
def global_random(rng: random.Random) -> Iterator[None]:
    """Seed Python's global generator from ``rng`` for a while; DEAP's operators draw from it."""
    state = random.getstate()
    random.seed(rng.getrandbits(64))
    try:
        yield
    finally:
        random.setstate(state)


class SeededToolbox(base.Toolbox):
    """A `deap.base.Toolbox` that seeds the global `random` around each operator and restores it.

    Args:
        rng: where the seeds come from.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng

    def register(self, alias: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Register an operator as DEAP does; it may draw from the global `random`."""
        if alias in ("clone", "map"):
            return super().register(alias, function, *args, **kwargs)

        @wraps(function)
        def seeded(*inner: Any, **named: Any) -> Any:
            with global_random(self.rng):
                return function(*inner, **named)

        return super().register(alias, seeded, *args, **kwargs)


def select_divide_and_conquer(
    individuals: Sequence[Any],
    k: int,
    select: Callable[..., list[Any]] = tools.selTournament,
    **options: Any,
) -> list[Any]:
    """Select within each niche, so that no knowledge crowds out another (DetKDS, sec. 3.3).

    A DEAP selection operator::

        toolbox.register("select", select_divide_and_conquer, tournsize=3)
        toolbox.register("survive", select_divide_and_conquer, select=tools.selBest)

    Args:
        individuals: each with a ``fitness`` and a ``niche``; those without a valid fitness are
            never selected.
        k: how many in all; spread evenly over the niches, the first ones take what is left over.
        select: the DEAP operator that selects within a niche.
        options: further arguments of ``select``; ``tournsize`` defaults to 3 for tournaments.

    Returns:
        the selected individuals, niche by niche in the order the niches first appear.
    """
    if select is tools.selTournament:
        options = {"tournsize": 3, **options}
    niches: dict[str, list[Any]] = {}
    for individual in individuals:
        if individual.fitness.valid:
            niches.setdefault(individual.niche, []).append(individual)
    chosen: list[Any] = []
    for index, members in enumerate(niches.values()):
        share = k // len(niches) + (index < k % len(niches))
        chosen.extend(select(members, share, **options))
    return chosen


def register_selection(toolbox: base.Toolbox, settings: SearchSettings) -> None:
    """Register ``select``, for parents among the members of one niche, and ``survive``, within each niche."""
    survive = tools.selNSGA2 if settings.objectives == "ap_and_cost" else tools.selBest
    toolbox.register("select", tools.selTournament, tournsize=settings.tournament)
    toolbox.register("survive", select_divide_and_conquer, select=survive)
