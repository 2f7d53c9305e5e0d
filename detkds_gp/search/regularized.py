"""Aging evolution: the young survive, whatever their scores (Real et al., AAAI 2019, "regularized evolution")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deap import tools

from detkds_gp.search.divide_and_conquer import DivideAndConquer
from detkds_gp.search.individual import Formula, Individual
from detkds_gp.search.toolbox import SeededToolbox, select_divide_and_conquer


class RegularizedEvolution(DivideAndConquer):
    """The stages and operators of `DivideAndConquer`, but the oldest die: one lucky score does not stay for ever.

    Tournaments still choose parents by their scores. Champions are the best of all that were trained.
    """

    def _register(self, stage: str, toolbox: SeededToolbox) -> None:
        toolbox.register("survive", select_divide_and_conquer, select=youngest)
        super()._register(stage, toolbox)

    def _best_by_niche(self, population: Sequence[Individual]) -> dict[str, list[Formula]]:
        scored, best = self._ledger.scored, dict[tuple[str, ...], Individual]()
        for individual in tools.selBest(scored, len(scored)):
            best.setdefault(self._ledger.screening_cache.losses(individual.distiller), individual)
        return super()._best_by_niche(list(best.values()))


def youngest(individuals: Sequence[Any], k: int) -> list[Any]:
    """Select the last of individuals in the order in which they were born, as a DEAP operator."""
    return list(individuals[max(len(individuals) - k, 0) :])
