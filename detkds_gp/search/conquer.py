"""The conquer stage: which champion of each knowledge, with which weight."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

from deap import tools

from detkds_gp.language import Distiller, PrimitiveSet, Term, make_distiller
from detkds_gp.search.evolution import Ledger, Stage
from detkds_gp.search.individual import Formula, Gene, Mix, lineage
from detkds_gp.search.settings import SearchSettings
from detkds_gp.search.toolbox import SeededToolbox, register_selection


def conquer_stage(
    primitive_set: PrimitiveSet,
    settings: SearchSettings,
    ledger: Ledger,
    rng: random.Random,
    champions: Mapping[str, Sequence[Formula]],
) -> Stage:
    """Make the stage that evolves mixes, seeded with each single champion and the equal mix."""
    breeder = MixBreeder(primitive_set, settings, SeededToolbox(rng), [list(members) for members in champions.values()])
    return Stage("conquer", [Mix.niche], settings.conquer, breeder.toolbox, ledger, breeder.seeds())


@dataclass
class MixBreeder:
    """Fills a toolbox with the operators on mixes.

    Attributes:
        champions: of each niche, best first.
        equal: index of the divide weight in the grid.
    """

    primitive_set: PrimitiveSet
    settings: SearchSettings
    toolbox: SeededToolbox
    champions: Sequence[list[Formula]]
    equal: int = field(init=False)

    def __post_init__(self) -> None:
        self.equal = self.settings.weights.index(self.settings.divide_weight)
        toolbox = self.toolbox
        toolbox.register("fresh", self.fresh)
        toolbox.register("mate", tools.cxUniform, indpb=0.5)
        toolbox.register("mutate", self.mutate)
        toolbox.register("vary", self.vary)
        toolbox.register("welcome", self.welcome)
        register_selection(toolbox, self.settings)

    def seeds(self) -> list[Mix]:
        """Return each niche's best at the divide weight and, if several, their equal mix."""
        count = len(self.champions)
        best, none = (0, self.equal), (None, self.equal)
        choices = [[best if i == j else none for j in range(count)] for i in range(count)]
        choices += [[best] * count] if count > 1 else []
        return [mix for genes in choices if (mix := self.made(genes))]

    def welcome(self, distiller: Distiller) -> list[Mix]:
        """Make the distiller's trees champions, and a mix of them at the nearest weights of the grid."""
        terms = {term.knowledge: term for term in distiller.terms}
        genes: list[Gene] = []
        for members in self.champions:
            term = terms.get(members[0].niche)
            genes.append(
                (None, self.equal) if term is None else (self._rank(members, term), self._nearest(term.weight))
            )
        mix = self.made(genes)
        return [] if mix is None else [mix]

    def _rank(self, members: list[Formula], term: Term) -> int:
        """Return the place of a tree among the champions of its niche, the last if it is new."""
        known = [member.distiller.terms[0].formula for member in members]
        if term.formula in known:
            return known.index(term.formula)
        newcomer = Formula(term.tree, term.knowledge)
        bare = replace(term, weight=self.settings.divide_weight, scale=None)
        newcomer.distiller = make_distiller([bare], self.primitive_set)
        members.append(newcomer)
        return len(members) - 1

    def _nearest(self, weight: float) -> int:
        grid = self.settings.weights
        return min(range(len(grid)), key=lambda index: abs(log(grid[index] / weight)))

    def fresh(self, niche: str) -> Mix | None:
        """Draw every gene: a champion or (one time in four) none, and a weight."""
        return self.made([self._gene(members) for members in self.champions])

    def vary(self, members: Sequence[Mix]) -> Mix | None:
        """Make one offspring; None if it chooses nothing."""
        rng = self.toolbox.rng
        if self.settings.strategy == "random":
            return self.fresh(Mix.niche)
        parents = list(self.toolbox.select(members, 1))
        child = Mix(parents[0])
        if rng.random() < self.settings.crossover:
            parents += self.toolbox.select(members, 1)
            child = self.toolbox.mate(child, Mix(parents[1]))[0]
        if len(parents) == 1 or rng.random() < self.settings.mutation:
            child = self.toolbox.mutate(child)[0]
        return self.made(child, lineage(parents))

    def mutate(self, mix: Mix) -> tuple[Mix]:
        """Move one weight to a neighbour on the grid, or draw one gene anew."""
        rng = self.toolbox.rng
        index = rng.randrange(len(mix))
        rank, weight = mix[index]
        near = [w for w in (weight - 1, weight + 1) if 0 <= w < len(self.settings.weights)]
        if rank is not None and near and rng.random() < 0.5:
            mix[index] = (rank, rng.choice(near))
        else:
            mix[index] = self._gene(self.champions[index])
        return (mix,)

    def made(self, genes: Sequence[Gene], parents: tuple[str, ...] = ()) -> Mix | None:
        """Build the mix's distiller; None if it chooses nothing; the chosen are default parents."""
        chosen, terms = [], []
        for (rank, weight), members in zip(genes, self.champions, strict=True):
            if rank is not None:
                chosen.append(members[rank])
                (term,) = members[rank].distiller.terms
                terms.append(replace(term, weight=self.settings.weights[weight]))
        if not terms:
            return None
        mix = Mix(genes, parents or lineage(chosen))
        mix.distiller = make_distiller(terms, self.primitive_set)
        return mix

    def _gene(self, members: Sequence[Formula]) -> Gene:
        rng = self.toolbox.rng
        if rng.random() < 0.25:
            return None, self.equal
        return rng.randrange(len(members)), rng.randrange(len(self.settings.weights))
