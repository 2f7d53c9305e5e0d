"""The divide stage: every knowledge evolves its own formulas."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from deap import gp

from detkds_gp.errors import ConfigError
from detkds_gp.language import (
    Distiller,
    Loss,
    PrimitiveSet,
    Term,
    depth,
    make_distiller,
    make_term,
    ramped_half_and_half,
)
from detkds_gp.language.tree import Node
from detkds_gp.search.individual import Formula, lineage
from detkds_gp.search.settings import SearchSettings
from detkds_gp.search.toolbox import SeededToolbox, register_selection
from detkds_gp.search.variation import MUTATIONS, crossover
from detkds_gp.search.weights import WeightRange

WEIGHT_MOVES = 0.4
"""Probability that a mutation moves the weight and leaves the tree as it is."""


def random_formulas(
    primitive_set: PrimitiveSet, settings: SearchSettings, rng: random.Random
) -> Iterator[Distiller | None]:
    """Yield formulas as the first generation draws them, niche by niche, without end; None for one beyond the limits.

    Raises:
        ConfigError: if ``max_depth`` allows no formula.
    """
    breeder = FormulaBreeder(primitive_set, settings, SeededToolbox(rng))
    drawn: dict[str, list[Formula]] = {niche: [] for niche in niches_of(primitive_set, settings)}
    for niche in cycle(drawn):
        formula = breeder.fresh(niche, drawn[niche])
        if formula is not None:
            drawn[niche].append(formula)
        yield None if formula is None else formula.distiller


def niches_of(primitive_set: PrimitiveSet, settings: SearchSettings) -> list[str]:
    """Return the niches whose lowest formula keeps the limit of depth.

    Raises:
        ConfigError: if there are none.
    """
    lowest = {name: primitive_set.niche(name).min_height(Loss) for name in primitive_set.niches}
    niches = [name for name in primitive_set.niches if lowest[name] <= settings.max_depth]
    if not niches:
        got = f"max_depth is {settings.max_depth}"
        raise ConfigError(f"{got}, wanted {min(lowest.values())} or more, the lowest formula")
    return niches


@dataclass
class FormulaBreeder:
    """Fills a toolbox with the operators on formulas.

    Attributes:
        breeds: whether offspring descend from the members; else they are drawn anew.
    """

    primitive_set: PrimitiveSet
    settings: SearchSettings
    toolbox: SeededToolbox
    breeds: bool = True

    def __post_init__(self) -> None:
        self.weights = WeightRange(*self.settings.weight_range)
        toolbox = self.toolbox
        toolbox.register("fresh", self.fresh)
        toolbox.register("mate", crossover, rng=toolbox.rng)
        toolbox.register("mutate", self.mutate)
        toolbox.register("vary", self.vary)
        toolbox.register("welcome", self.welcome)
        register_selection(toolbox, self.settings)

    def unlimited(self, distillers: Sequence[Distiller]) -> list[Formula]:
        """Return a formula for each tree, whatever its depth and size, at its weight."""
        return [self._formula(term) for distiller in distillers for term in distiller.terms]

    def welcome(self, distiller: Distiller) -> list[Formula]:
        """Return a formula for each tree that keeps the limits, at its weight."""
        return [self._formula(term) for term in distiller.terms if self._allows(term)]

    def fresh(self, niche: str, present: Sequence[Formula] = ()) -> Formula | None:
        """Grow a formula of a niche, at a weight apart from those present; None if it breaks the limits."""
        rng, grammar = self.toolbox.rng, self.primitive_set.niche(niche)
        tree = ramped_half_and_half(grammar, rng, self.settings.min_depth, self.settings.max_depth)
        weight = self.weights.drawn(rng, [one.weight for one in present], self.settings.divide.population)
        return self.made(Formula(tree, niche, weight))

    def vary(self, members: Sequence[Formula]) -> Formula | None:
        """Make one offspring of the members of a niche; None if it breaks the limits."""
        rng, niche = self.toolbox.rng, members[0].niche
        if not self.breeds:
            return self.fresh(niche)
        parents = list(self.toolbox.select(members, 1))
        child = _like(parents[0], parents[0])
        if rng.random() < self.settings.crossover:
            parents += self.toolbox.select(members, 1)
            child = _like(child, self.toolbox.mate(child, _like(parents[1], parents[1]))[0])
        if len(parents) == 1 or rng.random() < self.settings.mutation:
            child = _like(child, self.toolbox.mutate(child)[0])
        return self.made(child, lineage(parents))

    def mutate(self, formula: Formula) -> tuple[Sequence[Node]]:
        """Move the weight or apply one of the mutations of trees; like DEAP's, returns a tuple of one."""
        rng = self.toolbox.rng
        if not self.weights.fixed and rng.random() < WEIGHT_MOVES:
            return (Formula(formula, formula.niche, self.weights.moved(rng, formula.weight)),)
        operator = rng.choice(MUTATIONS)
        return (operator(formula, rng, self.primitive_set.niche(formula.niche)),)

    def made(self, formula: Formula, parents: tuple[str, ...] = ()) -> Formula | None:
        """Bring a formula to its canonical form; None if that is too deep or too large."""
        term = make_term(gp.PrimitiveTree(formula), self.primitive_set, formula.weight)
        return self._formula(term, parents) if self._allows(term) else None

    def _allows(self, term: Term) -> bool:
        size, deepest = self.settings.max_size, self.settings.max_depth
        return len(term.tree) <= size and depth(term.tree) <= deepest

    def _formula(self, term: Term, parents: tuple[str, ...] = ()) -> Formula:
        formula = Formula(term.tree, term.knowledge, term.weight, parents)
        formula.distiller = make_distiller([replace(term, scale=None)], self.primitive_set)
        return formula


def _like(before: Formula, nodes: Sequence[Node]) -> Formula:
    """Return a copy of what an operator made; where that is bare nodes, as DEAP's may be, the weight is inherited."""
    return Formula(nodes, before.niche, nodes.weight if isinstance(nodes, Formula) else before.weight)
