"""The conquer stage: which champion of each knowledge, with which weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deap import tools

from detkds_gp.language import Distiller, PrimitiveSet, Term, make_distiller
from detkds_gp.score import MIX
from detkds_gp.search.individual import Formula, Gene, Mix, lineage
from detkds_gp.search.settings import SearchSettings
from detkds_gp.search.toolbox import SeededToolbox, register_selection
from detkds_gp.search.weights import WeightRange


@dataclass
class MixBreeder:
    """Fills a toolbox with the operators on mixes.

    Attributes:
        champions: of each niche, best first.
        breeds: whether offspring descend from the members; else they are drawn anew.
    """

    primitive_set: PrimitiveSet
    settings: SearchSettings
    toolbox: SeededToolbox
    champions: Sequence[list[Formula]]
    breeds: bool = True

    def __post_init__(self) -> None:
        self.weights = WeightRange(*self.settings.weight_range)
        toolbox = self.toolbox
        toolbox.register("fresh", self.fresh)
        toolbox.register("mate", tools.cxUniform, indpb=0.5)
        toolbox.register("mutate", self.mutate)
        toolbox.register("vary", self.vary)
        toolbox.register("welcome", self.welcome)
        register_selection(toolbox, self.settings)

    def seeds(self) -> list[Mix]:
        """Return each niche's best at its own weight and, if several, the mix of them all."""
        best = [Gene(0, members[0].weight) for members in self.champions]
        choices = [[gene if i == j else Gene() for j in range(len(best))] for i, gene in enumerate(best)]
        choices += [best] if len(best) > 1 else []
        return [mix for genes in choices if (mix := self.made(genes))]

    def welcome(self, distiller: Distiller) -> list[Mix]:
        """Make the distiller's trees champions, and a mix of them at its weights."""
        terms = {term.knowledge: term for term in distiller.terms}
        genes = [
            Gene(self._rank(members, term), term.weight) if (term := terms.get(members[0].niche)) else Gene()
            for members in self.champions
        ]
        mix = self.made(genes)
        return [] if mix is None else [mix]

    def _rank(self, members: list[Formula], term: Term) -> int:
        """Return the place of a tree among the champions of its niche, the last if it is new."""
        known = [member.distiller.terms[0].formula for member in members]
        if term.formula in known:
            return known.index(term.formula)
        newcomer = Formula(term.tree, term.knowledge, term.weight)
        newcomer.distiller = make_distiller([replace(term, scale=None)], self.primitive_set)
        members.append(newcomer)
        return len(members) - 1

    def fresh(self, niche: str, present: Sequence[Mix] = ()) -> Mix | None:
        """Draw every gene: a champion at a weight around its own or (one time in four) none."""
        return self.made([self._gene(members) for members in self.champions])

    def vary(self, members: Sequence[Mix]) -> Mix | None:
        """Make one offspring; None if it chooses nothing."""
        rng = self.toolbox.rng
        if not self.breeds:
            return self.fresh(MIX)
        parents = list(self.toolbox.select(members, 1))
        child = Mix(parents[0])
        if rng.random() < self.settings.crossover:
            parents += self.toolbox.select(members, 1)
            child = self.toolbox.mate(child, Mix(parents[1]))[0]
        if len(parents) == 1 or rng.random() < self.settings.mutation:
            child = self.toolbox.mutate(child)[0]
        return self.made(child, lineage(parents))

    def mutate(self, mix: Mix) -> tuple[Mix]:
        """Move one weight, or draw one gene anew."""
        rng = self.toolbox.rng
        index = rng.randrange(len(mix))
        gene = mix[index]
        if gene.rank is not None and not self.weights.fixed and rng.random() < 0.5:
            mix[index] = replace(gene, weight=self.weights.moved(rng, gene.weight))
        else:
            mix[index] = self._gene(self.champions[index])
        return (mix,)

    def made(self, genes: Sequence[Gene], parents: tuple[str, ...] = ()) -> Mix | None:
        """Build the mix's distiller; None if it chooses nothing; the chosen are default parents."""
        chosen, terms = [], []
        for gene, members in zip(genes, self.champions, strict=True):
            if gene.rank is not None:
                chosen.append(members[gene.rank])
                (term,) = members[gene.rank].distiller.terms
                terms.append(replace(term, weight=gene.weight))
        if not terms:
            return None
        mix = Mix(genes, parents or lineage(chosen))
        mix.distiller = make_distiller(terms, self.primitive_set)
        return mix

    def _gene(self, members: Sequence[Formula]) -> Gene:
        rng = self.toolbox.rng
        if rng.random() < 0.25:
            return Gene()
        rank = rng.randrange(len(members))
        return Gene(rank, self.weights.moved(rng, members[rank].weight))
