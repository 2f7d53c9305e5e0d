"""Plans: which sizes the coming generations and the final round have, so that all of them fit into a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from detkds_gp.final_round import FinalRound
from detkds_gp.search import Generation
from detkds_gp.steering.prices import Prices

LEAST_SIZE = 2
"""New formulas of a niche, below which generations are left out instead."""
LEAST_RIVALS = 2
LEAST_SEEDS_OF_A_BUDGET = 4
LEAST_TUNING = 3
_STEPS = 60


@dataclass(frozen=True)
class Plan:
    """What is still to come: generations, trainings that tune each rival, places and seeds of the final round."""

    generations: tuple[Generation, ...]
    tuning: int
    places: int
    seeds: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**vars(self), "generations": [one.to_json() for one in self.generations]}

    def __str__(self) -> str:
        stages: dict[str, list[Generation]] = {}
        for one in self.generations:
            stages.setdefault(one.stage, []).append(one)
        parts = [
            f"{stage} with {', '.join(str(one.size) for one in each)} new {each[0].what}"
            for stage, each in stages.items()
        ]
        parts += [f"{self.tuning} trainings tune each rival"] * bool(self.tuning)
        return "; ".join([*parts, f"final round of {self.places} on {self.seeds} seeds"])


@dataclass(frozen=True)
class FinalStages:
    """What the settings plan besides the search, and the least of it that is worth a run.

    Attributes:
        niches: how many knowledges are searched.
        final: the final round.
        rivals: how many published losses are known to it.
        share: the most of a budget that the final round and the tuning of rivals may take beyond the least.
        tuning: trainings that tune the weight of each rival.
    """

    niches: int
    final: FinalRound
    rivals: int
    share: float
    tuning: int = 0

    @property
    def least_places(self) -> int:
        """The leader and two rivals, where there are as many."""
        return min(self.final.places, 1 + min(LEAST_RIVALS, self.rivals))

    @property
    def least_seeds(self) -> int:
        """Of the final round."""
        return min(LEAST_SEEDS_OF_A_BUDGET, len(self.final.seeds))

    def tuned(self, trained: int, left: float, prices: Prices) -> int:
        """Return the trainings of each rival: no more than a knowledge gets or the rest of a share pays.

        0 where they are too few to make a curve.
        """
        fair = min(self.tuning, trained)
        return next((n for n in range(fair, LEAST_TUNING - 1, -1) if prices.tuning(self.rivals, n) <= left), 0)

    def full(self, ahead: Sequence[Generation]) -> Plan:
        """Return what the settings plan, with the generations that are still to come."""
        return Plan(tuple(ahead), self.tuning, self.final.places, len(self.final.seeds))


def cost(generations: Sequence[Generation], prices: Prices, careful: bool = True) -> float:
    """Return what generations cost."""
    return sum(prices.generation(len(one.niches), one.size, careful) for one in generations)


def least(ahead: Sequence[Generation]) -> list[Generation]:
    """Return the fewest and smallest generations that have to be held."""
    return [one.at_most(LEAST_SIZE) for one in ahead if one.needed]


@dataclass(frozen=True)
class Limits:
    """What a plan has to keep to.

    Attributes:
        share: what the final round and the tuning of rivals may take, beyond their least.
        room: what is left of the budget.
        trained: formulas that each knowledge has had so far.
    """

    share: float
    room: float
    trained: int = 0


def fitted(final_stages: FinalStages, ahead: Sequence[Generation], limits: Limits, prices: Prices) -> Plan | None:
    """Fit what is still to come into what is left of a budget.

    The final round, with what tunes its rivals, keeps to its share of the budget, or to its least where that is more.
    Within the share rivals are tuned less, then the final round loses places, and at last rivals are not tuned. The
    search has the rest: its sizes get smaller, then generations are left out, before the final round gives up more.

    Returns:
        the largest plan that fits; None where not even the least does.
    """
    full, fewest = final_stages.full(ahead), final_stages.least_places
    rounds = [*((n, full.seeds) for n in range(full.places, fewest - 1, -1)), (fewest, final_stages.least_seeds)]
    for tuned in (True, False):
        for places, seeds in rounds:
            final = prices.final(places, seeds)
            left = limits.share - final
            if left < 0 and (places, seeds) != rounds[-1]:
                continue
            for generations in _smaller(ahead):
                more = sum(one.size for one in generations if not one.mixes)
                tuning = final_stages.tuned(limits.trained + more, left, prices) if tuned else 0
                if tuned and not tuning and final_stages.tuning:
                    break
                judging = final + prices.tuning(final_stages.rivals, tuning)
                if cost(generations, prices) + judging <= limits.room:
                    return Plan(tuple(generations), tuning, places, seeds)
    return None


def _scaled(ahead: Sequence[Generation], scale: float) -> list[Generation]:
    """Return generations with sizes times a scale; what rounding leaves of one is added to the next of its stage."""
    scaled, rest = [], dict[str, float]()
    for one in ahead:
        wanted = scale * one.size + rest.get(one.stage, 0.0)
        rest[one.stage] = wanted - int(wanted)
        scaled.append(one.at_most(max(LEAST_SIZE, int(wanted))))
    return scaled


def _smaller(ahead: Sequence[Generation]) -> Iterator[list[Generation]]:
    """Yield the generations smaller and smaller, then fewer and fewer, each stage losing its last ones."""
    for step in range(_STEPS, -1, -1):
        yield _scaled(ahead, step / _STEPS)
    stages: dict[str, list[Generation]] = {}
    for one in ahead:
        if not one.needed:
            stages.setdefault(one.stage, []).append(one)
    shares = {one: (n + 0.5) / len(stage) for stage in stages.values() for n, one in enumerate(stage)}
    for left in range(len(shares) - 1, -1, -1):
        kept = sorted(shares, key=lambda one: shares[one])[:left]
        yield [one.at_most(LEAST_SIZE) for one in ahead if one.needed or one in kept]
