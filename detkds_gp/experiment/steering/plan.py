"""Plans: which sizes the coming generations and the final round have, so that all of them fit into a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from detkds_gp.experiment.final_round import FinalRound
from detkds_gp.experiment.steering.decisions import FIRST
from detkds_gp.search import SearchSettings

LEAST_SIZE = 2
"""New formulas of a niche, below which generations are left out instead."""
LEAST_RIVALS = 2
LEAST_SEEDS = 4
LEAST_TUNING = 3
_STEPS = 20


class Price(Protocol):
    """Says what things cost in the unit of a budget."""

    def generation(self, groups: int, size: int, careful: bool = True) -> float:
        """Return what a generation costs."""
        ...

    def tuning(self, rivals: int, each: int, careful: bool = True) -> float:
        """Return what tuning the weights of rivals costs."""
        ...

    def final(self, places: int, seeds: int, careful: bool = True) -> float:
        """Return what judging costs."""
        ...


@dataclass(frozen=True)
class Planned:
    """A generation to come.

    Attributes:
        stage: divide or conquer.
        number: of the generation.
        most: new formulas of a niche.
    """

    stage: str
    number: int
    most: int


@dataclass(frozen=True)
class Plan:
    """What is still to come.

    Attributes:
        generations: in their order.
        tuning: trainings that tune the weight of each rival.
        places: formulas that the final round judges.
        seeds: on which it does.
    """

    generations: tuple[Planned, ...]
    tuning: int
    places: int
    seeds: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**vars(self), "generations": [dict(vars(one)) for one in self.generations]}


@dataclass(frozen=True)
class Outlook:
    """What the settings plan, and the least of it that is worth a run.

    Attributes:
        search: the search's settings.
        niches: how many knowledges are searched.
        final: the final round.
        rivals: how many published losses are known to it.
        share: the most of a budget that the final round and the tuning of rivals may take beyond the least.
        tuning: trainings that tune the weight of each rival.
    """

    search: SearchSettings
    niches: int
    final: FinalRound
    rivals: int
    share: float
    tuning: int = 0

    def size(self, stage: str, number: int) -> int:
        """Return the new formulas of a niche that the settings plan for a generation."""
        sizes = self.search.divide if stage == "divide" else self.search.conquer
        return sizes.offspring if number else sizes.population

    def groups(self, stage: str) -> int:
        """Return in how many niches a stage makes new formulas."""
        return self.niches if stage == "divide" else 1

    def rest(self, stage: str, number: int) -> tuple[int, int]:
        """Return how many generations of either stage follow one; the first of conquer included."""
        conquer = self.search.conquer.generations
        if stage == "divide":
            return self.search.divide.generations - number, conquer + 1
        return 0, conquer - number

    @property
    def least_places(self) -> int:
        """The leader and two rivals, where there are as many."""
        return min(self.final.places, 1 + min(LEAST_RIVALS, self.rivals))

    @property
    def least_seeds(self) -> int:
        """Of the final round."""
        return min(LEAST_SEEDS, len(self.final.seeds))

    def made(self, stage: str, number: int, counts: tuple[int, int], scale: float) -> list[Planned]:
        """Return the generations after one.

        Args:
            stage: of the last generation.
            number: of the last generation.
            counts: how many generations of divide and of conquer follow.
            scale: of the sizes that the settings plan.
        """
        first = number + 1 if stage == "divide" else 0
        places = [("divide", first + n) for n in range(counts[0])]
        begun = number + 1 if stage == "conquer" else 0
        places += [("conquer", begun + n) for n in range(counts[1])]
        return [Planned(s, n, max(min(LEAST_SIZE, self.size(s, n)), int(scale * self.size(s, n)))) for s, n in places]

    def fair_tuning(self, trained: int) -> int:
        """Return the trainings of each rival: no more than a knowledge gets, none where they make no curve."""
        each = min(self.tuning, trained)
        return each if each >= LEAST_TUNING else 0

    def cost(self, generations: Sequence[Planned], price: Price, careful: bool = True) -> float:
        """Return what generations cost."""
        return sum(price.generation(self.groups(one.stage), one.most, careful) for one in generations)

    def least(self, stage: str, number: int) -> list[Planned]:
        """Return the fewest and smallest generations that have to follow one, so that both stages are held."""
        divide, conquer = self.rest(stage, number)
        first = int(stage == "divide" and number == FIRST)
        return self.made(stage, number, (min(first, divide), int(stage == "divide" and conquer > 0)), 0.0)

    def full(self, stage: str, number: int) -> Plan:
        """Return what the settings plan after a generation."""
        generations = self.made(stage, number, self.rest(stage, number), 1.0)
        return Plan(tuple(generations), self.tuning, self.final.places, len(self.final.seeds))


@dataclass(frozen=True)
class Means:
    """What a plan has to keep to.

    Attributes:
        amount: of the whole budget.
        room: what is left of it.
        trained: formulas that each knowledge has had so far.
    """

    amount: float
    room: float
    trained: int = 0


def fitted(outlook: Outlook, stage: str, number: int, means: Means, price: Price) -> Plan | None:
    """Fit what follows a generation into what is left of a budget.

    The final round, with what tunes its rivals, keeps its places up to its share of the budget, and its least in any
    case. Sizes get smaller first, then generations are left out, then the final round loses places, and at last rivals
    are not tuned.

    Args:
        outlook: what the settings plan.
        stage: of the last generation.
        number: of the last generation, `FIRST` before any.
        means: what is left of the budget.
        price: what things cost.

    Returns:
        the largest plan that fits; None where not even the least does.
    """
    full, least = outlook.full(stage, number), outlook.least_places
    rounds = [*((n, full.seeds) for n in range(full.places, least - 1, -1)), (least, outlook.least_seeds)]
    for tuned in (True, False):
        for places, seeds in rounds:
            final = price.final(places, seeds)
            for generations in _smaller(outlook, stage, number):
                more = sum(one.most for one in generations if one.stage == "divide")
                tuning = outlook.fair_tuning(means.trained + more) if tuned else 0
                judging = final + price.tuning(outlook.rivals, tuning)
                held = judging <= outlook.share * means.amount or (places, seeds) == rounds[-1]
                if held and outlook.cost(generations, price) + judging <= means.room:
                    return Plan(tuple(generations), tuning, places, seeds)
    return None


def _smaller(outlook: Outlook, stage: str, number: int) -> Iterator[list[Planned]]:
    """Yield the generations after one, smaller and smaller, then fewer and fewer."""
    divide, conquer = outlook.rest(stage, number)
    for step in range(_STEPS, -1, -1):
        yield outlook.made(stage, number, (divide, conquer), step / _STEPS)
    least = outlook.least(stage, number)
    fewest = [sum(one.stage == name for one in least) for name in ("divide", "conquer")]
    spare = divide + conquer - sum(fewest)
    for left in range(spare - 1, -1, -1):
        more = round(left * (divide - fewest[0]) / spare)
        yield outlook.made(stage, number, (fewest[0] + more, fewest[1] + left - more), 0.0)
