"""What evolves: formula trees in the divide stage, mixes of champions in the conquer stage."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

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


AnIndividual = TypeVar("AnIndividual", bound="Bred")


class Fitness(base.Fitness):
    """(AP, operations): AP first, fewer operations between equals; NSGA-II weighs both."""

    weights = (1.0, -1.0)


class Bred(list[Any]):
    """What formulas and mixes have alike: whom they descend from, what was made of them, and what it is worth."""

    niche: str
    ap: float | None = None
    distiller = Distiller()

    def __init__(self, content: Iterable[Any], parents: tuple[str, ...] = ()) -> None:
        super().__init__(content)
        self.parents = parents
        self.fitness = Fitness()

    def __deepcopy__(self: AnIndividual, memo: dict) -> AnIndividual:
        twin = copy(self)
        twin.fitness = deepcopy(self.fitness)
        return twin


class Formula(Bred, gp.PrimitiveTree):
    """A tree of one niche and its weight; once made into a candidate, canonical and with its distiller."""

    def __init__(self, nodes: Iterable[Node], niche: str, weight: float = 1.0, parents: tuple[str, ...] = ()) -> None:
        super().__init__(nodes, parents)
        self.niche = niche
        self.weight = weight


class Mix(Bred):
    """One gene for each niche."""

    niche = MIX


Individual: TypeAlias = Formula | Mix
"""What a population holds."""


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
