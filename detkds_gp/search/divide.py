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
    parse_distiller,
    ramped_half_and_half,
)
from detkds_gp.language.tree import Node
from detkds_gp.search.evolution import Ledger, Stage
from detkds_gp.search.individual import Formula, lineage
from detkds_gp.search.settings import SearchSettings
from detkds_gp.search.toolbox import SeededToolbox, register_selection
from detkds_gp.search.variation import (
    crossover,
    mutate_constant,
    mutate_insert,
    mutate_point,
    mutate_shrink,
    mutate_subtree,
)

MUTATIONS = (mutate_subtree, mutate_insert, mutate_shrink, mutate_point, mutate_constant)


def divide_stage(primitive_set: PrimitiveSet, settings: SearchSettings, ledger: Ledger, rng: random.Random) -> Stage:
    """Make the stage that evolves the formulas of every niche side by side.

    A niche whose lowest formula is deeper than ``max_depth`` is left out.

    Raises:
        ConfigError: if that leaves no niche.
        FormulaError: if a warm-start formula does not fit the set.
    """
    breeder = FormulaBreeder(primitive_set, settings, SeededToolbox(rng))
    seeds = breeder.warm_start()
    return Stage("divide", _niches(primitive_set, settings), settings.divide, breeder.toolbox, ledger, seeds)


def random_formulas(
    primitive_set: PrimitiveSet, settings: SearchSettings, rng: random.Random
) -> Iterator[Distiller | None]:
    """Yield formulas as the first generation draws them, niche by niche, without end; None for one beyond the limits.

    Raises:
        ConfigError: if ``max_depth`` allows no formula.
    """
    breeder = FormulaBreeder(primitive_set, settings, SeededToolbox(rng))
    for niche in cycle(_niches(primitive_set, settings)):
        formula = breeder.fresh(niche)
        yield None if formula is None else formula.distiller


def _niches(primitive_set: PrimitiveSet, settings: SearchSettings) -> list[str]:
    """Return the niches whose lowest formula keeps the limit of depth."""
    lowest = {name: primitive_set.niche(name).min_height(Loss) for name in primitive_set.niches}
    niches = [name for name in primitive_set.niches if lowest[name] <= settings.max_depth]
    if not niches:
        got = f"max_depth is {settings.max_depth}"
        raise ConfigError(f"{got}, wanted {min(lowest.values())} or more, the lowest formula")
    return niches


@dataclass
class FormulaBreeder:
    """Fills a toolbox with the operators on formulas."""

    primitive_set: PrimitiveSet
    settings: SearchSettings
    toolbox: SeededToolbox

    def __post_init__(self) -> None:
        toolbox = self.toolbox
        toolbox.register("fresh", self.fresh)
        toolbox.register("mate", crossover, rng=toolbox.rng)
        toolbox.register("mutate", self.mutate)
        toolbox.register("vary", self.vary)
        toolbox.register("welcome", self.welcome)
        register_selection(toolbox, self.settings)

    def warm_start(self) -> list[Formula]:
        """Read the formulas that join the first generation; the limits are for what is bred from them.

        Raises:
            FormulaError: if one does not fit the set.
        """
        texts = self.settings.warm_start
        return [self._formula(term) for text in texts for term in parse_distiller(text, self.primitive_set).terms]

    def welcome(self, distiller: Distiller) -> list[Formula]:
        """Return a formula for each tree that keeps the limits."""
        return [self._formula(term) for term in distiller.terms if self._allows(term)]

    def fresh(self, niche: str) -> Formula | None:
        """Grow a formula of a niche; None if it breaks the limits."""
        lowest, highest = self.settings.min_depth, self.settings.max_depth
        grammar = self.primitive_set.niche(niche)
        return self.made(ramped_half_and_half(grammar, self.toolbox.rng, lowest, highest))

    def vary(self, members: Sequence[Formula]) -> Formula | None:
        """Make one offspring of the members of a niche; None if it breaks the limits."""
        rng, niche = self.toolbox.rng, members[0].niche
        if self.settings.strategy == "random":
            return self.fresh(niche)
        parents = list(self.toolbox.select(members, 1))
        child = Formula(parents[0], niche)
        if rng.random() < self.settings.crossover:
            parents += self.toolbox.select(members, 1)
            child = Formula(self.toolbox.mate(child, Formula(parents[1], niche))[0], niche)
        if len(parents) == 1 or rng.random() < self.settings.mutation:
            child = self.toolbox.mutate(child)[0]
        return self.made(gp.PrimitiveTree(child), lineage(parents))

    def mutate(self, formula: Formula) -> tuple[list[Node]]:
        """Apply one of the mutations; like DEAP's, returns a tuple of one."""
        operator = self.toolbox.rng.choice(MUTATIONS)
        return (operator(formula, self.toolbox.rng, self.primitive_set.niche(formula.niche)),)

    def made(self, tree: gp.PrimitiveTree, parents: tuple[str, ...] = ()) -> Formula | None:
        """Bring a tree to its canonical form; None if that is too deep or too large."""
        term = make_term(tree, self.primitive_set, self.settings.divide_weight)
        return self._formula(term, parents) if self._allows(term) else None

    def _allows(self, term: Term) -> bool:
        size, deepest = self.settings.max_size, self.settings.max_depth
        return len(term.tree) <= size and depth(term.tree) <= deepest

    def _formula(self, term: Term, parents: tuple[str, ...] = ()) -> Formula:
        formula = Formula(term.tree, term.knowledge, parents)
        bare = replace(term, weight=self.settings.divide_weight, scale=None)
        formula.distiller = make_distiller([bare], self.primitive_set)
        return formula
