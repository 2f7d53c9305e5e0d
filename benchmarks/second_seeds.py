"""A belief that may spend a training on another seed of what is trained already, to see what that is worth.

Where a drawn world is best at a distiller that has an AP, that one is trained on a further seed in place of something
new. The product does not do so: `search_efficiency.py` shows no gain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from detkds_gp.language import Distiller
from detkds_gp.search import BeliefSearch
from detkds_gp.search.belief import Belief
from detkds_gp.search.belief_search import ENOUGH, Believing
from detkds_gp.search.guide import Brood, Guide
from detkds_gp.search.individual import Individual

CONTENDERS = 40
"""Of highest expected AP, that may get another seed."""
MOST = 3
"""Further seeds of one distiller."""


@dataclass
class Repeating(Believing):
    """Chooses among what was bred and what is known.

    Attributes:
        score: gives the AP of a distiller on its n-th further seed.
        spent: trainings on further seeds.
    """

    score: Callable[[Distiller, int], float] = lambda distiller, number: 0.0
    spent: int = 0
    _known: list[Individual] = field(default_factory=list)
    _further: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def learn(self, scored: Sequence[Individual]) -> None:
        """Learn all APs, further seeds among them."""
        self._known = [one for one in scored if one.ap is not None]
        if len(self._known) < ENOUGH:
            return
        told = [(one, ap) for one in self._known for ap in (one.ap or 0.0, *self._further[one.distiller.text])]
        self.belief.learn([one.distiller for one, _ in told], [ap for _, ap in told])
        expected, _ = self.belief.expected([one.distiller for one in self._known])
        for one, ap in zip(self._known, expected, strict=True):
            one.fitness.values = (float(ap), float(one.distiller.cost))

    def choose(self, broods: Sequence[Brood]) -> list[Individual]:
        """Return who is trained for the first time; the other trainings are spent on further seeds at once."""
        bred = [one for brood in broods for one in brood.bred]
        if not self.belief.ready or not bred:
            return super().choose(broods)
        wanted = min(sum(brood.size for brood in broods), len(bred))
        due = [brood.bred[0].niche for brood in broods if brood.bred and brood.size]
        known = [one for one in self._known if one.niche in due]
        everyone = bred + sorted(known, key=lambda one: one.fitness, reverse=True)[:CONTENDERS]
        worlds = self.belief.sampled([one.distiller for one in everyone], wanted, self.rng.getrandbits(64))
        chosen: dict[int, None] = {}
        for number, world in enumerate(worlds):
            left = [place for place in range(len(bred)) if place not in chosen]
            first = [place for place in left if number < len(due) and bred[place].niche == due[number]]
            again = [place for place in range(len(bred), len(everyone)) if self._count(everyone[place]) < MOST]
            best = max(first or left + again, key=lambda place: world[place])
            if best < len(bred):
                chosen[best] = None
            else:
                self._repeat(everyone[best])
        return [bred[place] for place in sorted(chosen)]

    def _count(self, one: Individual) -> int:
        return len(self._further[one.distiller.text])

    def _repeat(self, one: Individual) -> None:
        self.spent += 1
        self._further[one.distiller.text].append(self.score(one.distiller, self._count(one) + 1))


class RepeatingSearch(BeliefSearch):
    """The search with a belief that may ask for further seeds; `repeating` has the score to be set."""

    def _made_guide(self, rng: Any) -> Guide:
        self.repeating = Repeating(Belief(self.primitive_set, self._ledger.screening_cache.direction), rng)
        self._believing = self.repeating
        return self.repeating
