"""Guides: how good an individual counts as, and which of a brood are trained."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from detkds_gp.search.belief import Belief
from detkds_gp.search.individual import Individual

ENOUGH = 8
"""APs from which a belief is formed."""


@dataclass(frozen=True)
class Brood:
    """What a niche offers for a generation.

    Attributes:
        given: individuals that are trained in any case.
        bred: what was made beside them.
        size: how many of those shall be trained.
    """

    given: list[Individual]
    bred: list[Individual]
    size: int


class Guide(Protocol):
    """Chooses between individuals that were not trained yet, and says what trained ones are worth."""

    fresh: float
    """Share of them that is drawn anew where others could be bred from."""
    revises: bool
    """Whether an individual's fitness may change after it was told."""

    @property
    def brood(self) -> int:
        """Individuals that are made for each that is trained."""

    def learn(self, scored: Sequence[Individual]) -> None:
        """Take all individuals whose AP is known, in the order told; the fitness of the last ones is that AP so far."""

    def choose(self, broods: Sequence[Brood]) -> list[Individual]:
        """Return the bred individuals that are trained, in the order of the broods."""

    def foreseen(self, told: Sequence[Individual]) -> dict[str, Any]:
        """Return, as part of a logbook's record, what was expected of individuals before they were trained."""


class Scores:
    """Takes an AP for what it is worth, and has all trained that is bred."""

    brood, fresh, revises = 1, 0.0, False

    def learn(self, scored: Sequence[Individual]) -> None:
        """Leave every individual the fitness of its AP."""

    def choose(self, broods: Sequence[Brood]) -> list[Individual]:
        """Return all of them."""
        return [one for brood in broods for one in brood.bred]

    def foreseen(self, told: Sequence[Individual]) -> dict[str, Any]:
        """Return nothing: nothing was expected."""
        return {}


@dataclass
class Believing:
    """Ranks by the AP that a belief expects, and has trained what may be best: Thompson sampling (Thompson, 1933).

    For every training it draws one possible world from the belief, and takes the individual that is best in it. So
    most are of the knowledges that promise most, but one of every knowledge is trained whatever is believed.

    Attributes:
        belief: learns from all stages.
        rng: where draws come from.
        offered: individuals that are made for each that is trained, once something is believed.
        fresh: share of them that is drawn anew where others could be bred from.
    """

    belief: Belief
    rng: random.Random
    offered: int = 8
    fresh: float = 0.5
    revises = True
    _foreseen: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def brood(self) -> int:
        """Individuals that are made for each that is trained."""
        return self.offered if self.belief.ready else 1

    def learn(self, scored: Sequence[Individual]) -> None:
        """Learn the APs, and give every individual the fitness that is now expected of it."""
        known = {one.distiller.text: (one.distiller, one.ap) for one in scored if one.ap is not None}
        if len(known) < ENOUGH:
            return
        distillers, aps = zip(*known.values(), strict=True)
        self.belief.learn(distillers, aps)
        expected, _ = self.belief.expected([one.distiller for one in scored])
        for one, ap in zip(scored, expected, strict=True):
            one.fitness.values = (float(ap), float(one.distiller.cost))

    def choose(self, broods: Sequence[Brood]) -> list[Individual]:
        """Return the best of each drawn world; the first of every brood while nothing is believed."""
        bred = [one for brood in broods for one in brood.bred]
        if not self.belief.ready or not bred:
            return [one for brood in broods for one in brood.bred[: brood.size]]
        distillers = [one.distiller for one in bred]
        wanted = min(sum(brood.size for brood in broods), len(bred))
        due = [brood.bred[0].niche for brood in broods if brood.bred and brood.size]
        chosen: dict[int, None] = {}
        for number, world in enumerate(self.belief.sampled(distillers, wanted, self.rng.getrandbits(64))):
            left = [place for place in range(len(bred)) if place not in chosen]
            first = [place for place in left if number < len(due) and bred[place].niche == due[number]]
            chosen[max(first or left, key=lambda place: world[place])] = None
        means, deviations = self.belief.expected(distillers)
        for place in chosen:
            self._foreseen[distillers[place].text] = float(means[place]), float(deviations[place])
        return [bred[place] for place in sorted(chosen)]

    def foreseen(self, told: Sequence[Individual]) -> dict[str, Any]:
        """Return (expected AP, its standard deviation, AP) of those that were chosen by the belief."""
        known = [(*self._foreseen[one.distiller.text], one.ap) for one in told if one.distiller.text in self._foreseen]
        return {"foreseen": [list(row) for row in known if row[-1] is not None]} if known else {}

    def expected(self, individuals: Sequence[Individual]) -> dict[str, tuple[float, float]]:
        """Return by text the AP that is expected of individuals, and its standard deviation."""
        if not self.belief.ready or not individuals:
            return {}
        distillers = [one.distiller for one in individuals]
        means, deviations = self.belief.expected(distillers)
        return {
            one.text: (float(mean), float(deviation))
            for one, mean, deviation in zip(distillers, means, deviations, strict=True)
        }
