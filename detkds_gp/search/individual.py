"""What evolves: formula trees in the divide stage, mixes of champions in the conquer stage.

Plain importable classes, so that they reach worker processes and user code; the classes that DEAP's
`creator` makes do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from deap import base, gp

from detkds_gp.language import Distiller
from detkds_gp.language.tree import Node
from detkds_gp.score import MIX, Score


@dataclass(frozen=True)
class Gene:
    """What a mix takes of one niche.

    Attributes:
        rank: of the chosen formula among the niche's champions; None: the niche is left out.
        weight: of the chosen formula; means nothing where none is.
    """

    rank: int | None = None
    weight: float = 1.0


class Fitness(base.Fitness):
    """(AP, operations): AP first, fewer operations between equals; NSGA-II weighs both."""

    weights = (1.0, -1.0)


class Formula(gp.PrimitiveTree):
    """A tree of one niche and its weight; once made into a candidate, canonical and with its distiller."""

    def __init__(self, nodes: Iterable[Node], niche: str, weight: float = 1.0, parents: tuple[str, ...] = ()) -> None:
        super().__init__(nodes)
        self.niche = niche
        self.weight = weight
        self.parents = parents
        self.ap: float | None = None
        self.fitness = Fitness()
        self.distiller = Distiller()

    def __deepcopy__(self, memo: dict) -> Formula:
        return _scored_like(self, Formula(self, self.niche, self.weight, self.parents))


class Mix(list[Gene]):
    """One gene for each niche."""

    niche = MIX

    def __init__(self, genes: Iterable[Gene], parents: tuple[str, ...] = ()) -> None:
        super().__init__(genes)
        self.parents = parents
        self.ap: float | None = None
        self.fitness = Fitness()
        self.distiller = Distiller()

    def __deepcopy__(self, memo: dict) -> Mix:
        return _scored_like(self, Mix(self, self.parents))


Individual: TypeAlias = Formula | Mix
"""What a population holds."""
AnIndividual = TypeVar("AnIndividual", Formula, Mix)


def _scored_like(individual: AnIndividual, copy: AnIndividual) -> AnIndividual:
    copy.fitness = deepcopy(individual.fitness)
    copy.ap = individual.ap
    copy.distiller = individual.distiller
    return copy


@dataclass(frozen=True)
class Candidate:
    """A distiller that the search asks a score for.

    Attributes:
        distiller: its terms have no scale yet.
        stage: the part of the search that made it.
        niche: its knowledge, or `MIX`.
        generation: 0 for the first of a stage.
        parents: canonical texts of the distillers it descends from.
    """

    distiller: Distiller
    stage: str
    niche: str
    generation: int
    parents: tuple[str, ...] = ()


def lineage(parents: Iterable[Individual]) -> tuple[str, ...]:
    """Return the distinct texts of some parents, in order."""
    return tuple(dict.fromkeys(parent.distiller.text for parent in parents))


def same_text(one: Individual, other: Individual) -> bool:
    """Tell whether two individuals are one candidate: equal trees at two weights are not."""
    return one.distiller.text == other.distiller.text


def assign_fitness(individual: Individual, score: Score) -> None:
    """Give an individual its AP and fitness; a failure leaves it without, so that DEAP never sees it."""
    if score.ap is not None:
        individual.ap = score.ap
        individual.fitness.values = (score.ap, float(individual.distiller.cost))
