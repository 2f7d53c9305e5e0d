"""What a user may set of the search."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from detkds_gp.settings import Settings

STRATEGIES = {
    "evolution": "detkds_gp.search.divide_and_conquer:DivideAndConquer",
    "belief": "detkds_gp.search.belief_search:BeliefSearch",
    "regularized": "detkds_gp.search.divide_and_conquer:RegularizedEvolution",
    "random": "detkds_gp.search.divide_and_conquer:RandomSearch",
}
"""By the name that configs use, where the class is."""


class StageSettings(Settings):
    """One stage of the evolution, (mu + lambda).

    Attributes:
        population: individuals that survive a generation, per niche.
        offspring: new formulas a generation, per niche.
        generations: generations after the first.
    """

    population: int = Field(default=8, ge=1)
    offspring: int = Field(default=8, ge=1)
    generations: int = Field(default=4, ge=0)


class SearchSettings(Settings):
    """The evolution.

    Attributes:
        strategy: ``belief`` (a Gaussian process chooses what is trained, docs/search.md); ``evolution`` (the best
            scores survive); ``regularized`` (the young survive); ``random`` (the same grammar and budget without
            selection); or the ``module:NAME`` of a `Strategy` of one's own.
        options: settings of a strategy of one's own.
        objectives: ``ap`` (fewer operations decide between equals) or ``ap_and_cost`` (NSGA-II).
        divide: the stage that evolves the formulas of every knowledge, and their weights.
        conquer: the stage that evolves which formulas are combined, starting from their weights.
        ahead: generations that are bred while the ones before them are trained, so that no worker waits for the last
            training of each; they learn from the generations told before. For many workers.
        champions: formulas of every niche that the conquer stage may choose from.
        weight_range: the lowest and the highest weight that are drawn; a weight multiplies the calibrated scale, and
            evolves on a logarithmic scale. Twice the same number fixes it.
        tournament: size of a tournament.
        crossover: probability that an offspring has two parents.
        mutation: probability that it is mutated (always, if it has one parent).
        min_depth: lowest depth limit when growing.
        max_depth: limit of every tree.
        max_size: nodes of every tree.
        attempts: formulas in a row that may be known, the same loss as a known one, or rejected, before a niche's
            generation stays smaller.
        warm_start: formulas that join the first generation of their niche at ``weight * calibrated``, at weight 1
            where none is given; they may be larger than the limits and their weights out of the range, what is bred
            from them may not be larger. An experiment takes names, files and plain coefficients too.
    """

    strategy: str = "belief"
    options: dict[str, Any] = Field(default_factory=dict)
    objectives: Literal["ap", "ap_and_cost"] = "ap"
    divide: StageSettings = StageSettings()
    conquer: StageSettings = StageSettings(population=8, offspring=8, generations=2)
    ahead: int = Field(default=0, ge=0)
    champions: int = Field(default=3, ge=1)
    weight_range: tuple[float, float] = (0.01, 1000.0)
    tournament: int = Field(default=3, ge=1)
    crossover: float = Field(default=0.6, ge=0, le=1)
    mutation: float = Field(default=0.4, ge=0, le=1)
    min_depth: int = Field(default=1, ge=1)
    max_depth: int = Field(default=6, ge=1)
    max_size: int = Field(default=40, ge=2)
    attempts: int = Field(default=60, ge=1)
    warm_start: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> SearchSettings:
        if self.strategy not in STRATEGIES and ":" not in self.strategy:
            raise ValueError(f"strategy is {self.strategy!r}, wanted {', '.join(STRATEGIES)} or module:NAME")
        if not 0 < self.weight_range[0] <= self.weight_range[1] < math.inf:
            raise ValueError(f"weight_range is {self.weight_range}, wanted two positive numbers, the lower one first")
        if self.min_depth > self.max_depth:
            raise ValueError(f"min_depth {self.min_depth} is above max_depth {self.max_depth}")
        return self
