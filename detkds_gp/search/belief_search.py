"""The search with a belief: divide and conquer, in which a Gaussian process says what is worth a training."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detkds_gp.search.belief import Belief
from detkds_gp.search.divide_and_conquer import DivideAndConquer
from detkds_gp.search.guide import Brood, Guide
from detkds_gp.search.individual import Individual

ENOUGH = 8
"""APs from which a belief is formed."""

OFFERED = 8
"""Individuals that are made for each that is trained, once something is believed."""


@dataclass
class Believing(Guide):
    """Ranks by the AP that a belief expects, and has trained what may be best: Thompson sampling (Thompson, 1933).

    For every training it draws one possible world from the belief, and takes the individual that is best in it. So
    most are of the knowledges that promise most, but one of every knowledge is trained whatever is believed.

    Attributes:
        belief: learns from all stages.
        rng: where draws come from.
    """

    belief: Belief
    rng: random.Random
    _foreseen: dict[str, tuple[float, float]] = field(default_factory=dict)

    fresh = 0.5
    offered = OFFERED
    revises = True

    @property
    def brood(self) -> int:
        """Individuals that are made for each that is trained: more once something is believed."""
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
        wanted = min(sum(brood.size for brood in broods), len(bred))
        due = [brood.bred[0].niche for brood in broods if brood.bred and brood.size]
        worlds = self.belief.sampled([one.distiller for one in bred], wanted, self.rng.getrandbits(64))
        chosen: dict[int, None] = {}
        for number, world in enumerate(worlds):
            left = [place for place in range(len(bred)) if place not in chosen]
            first = [place for place in left if number < len(due) and bred[place].niche == due[number]]
            chosen[max(first or left, key=lambda place: world[place])] = None
        expected = self.expected(bred)
        trained = [bred[place] for place in sorted(chosen)]
        self._foreseen.update((one.distiller.text, expected[one.distiller.text]) for one in trained)
        return trained

    def foreseen(self, told: Sequence[Individual]) -> dict[str, Any]:
        """Return (expected AP, its standard deviation, AP) of those that were chosen by the belief."""
        known = [(*self._foreseen[one.distiller.text], one.ap) for one in told if one.distiller.text in self._foreseen]
        return {"foreseen": [list(row) for row in known if row[-1] is not None]} if known else {}

    def expected(self, individuals: Sequence[Individual]) -> dict[str, tuple[float, float]]:
        """Return by text the AP that is expected of individuals, and its standard deviation."""
        if not self.belief.ready or not individuals:
            return {}
        means, deviations = self.belief.expected([one.distiller for one in individuals])
        texts = [one.distiller.text for one in individuals]
        return dict(zip(texts, zip(means.tolist(), deviations.tolist(), strict=True), strict=True))


class BeliefSearch(DivideAndConquer):
    """The stages and operators of `DivideAndConquer`, but luck does not survive, and not all that is bred is trained.

    A belief (`Belief`) learns from all scores. Several times as many formulas are made and screened as are trained;
    those are trained that may be best. Parents, champions and the hall of fame are those of the highest expected AP.
    """

    def _made_guide(self, rng: random.Random) -> Guide:
        self._believing = Believing(Belief(self.primitive_set, self._ledger.screening_cache.direction), rng)
        return self._believing

    @property
    def expected(self) -> Mapping[str, tuple[float, float]]:
        """By text, the AP that is expected of the best so far, and its standard deviation."""
        return self._believing.expected(list(self.hall_of_fame))
