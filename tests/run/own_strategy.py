"""A strategy from outside the package: formulas one at a time, drawn around the best so far."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from deap import tools

from detkds_gp.language import Distiller, PrimitiveSet
from detkds_gp.score import Score
from detkds_gp.search import Candidate, Formula, Generation, SearchSettings, SeededToolbox
from detkds_gp.search.divide import FormulaBreeder
from detkds_gp.search.individual import assign_fitness, same_text


class HillClimbing:
    """Asks ``options["candidates"]`` times for one candidate: a mutation of the best, or a fresh one."""

    def __init__(self, primitive_set: PrimitiveSet, settings: SearchSettings, seed: int = 0, *, screen: Any) -> None:
        self.primitive_set = primitive_set
        self.hall_of_fame = tools.HallOfFame(10, same_text)
        self.logbook = tools.Logbook()
        self.counts: dict[str, int] = Counter(generated=0, duplicates=0, rejected=0, trained=0, failed=0)
        self._breeder = FormulaBreeder(primitive_set, settings, SeededToolbox(random.Random(seed)))
        self._candidates: int = settings.options["candidates"]
        self._waiting: list[Formula] = []
        self._asked: Formula | None = None
        self._number, self._over, self._seen = -1, False, set[str]()

    @property
    def best(self) -> Formula | None:
        return self.hall_of_fame[0] if self.hall_of_fame else None

    def start_with(self, distillers: Sequence[Distiller]) -> None:
        self._waiting += self._breeder.unlimited(distillers)

    def inject(self, distiller: Distiller) -> None:
        self._waiting += self._breeder.welcome(distiller)

    def resize(self, most: int) -> None:
        """One candidate at a time cannot be fewer."""

    def end(self, what: str = "search") -> None:
        self._over = True

    def plan(self) -> list[Generation]:
        following = range(self._number + 1, self._candidates)
        return [Generation("climb", n, self.primitive_set.niches[:1], 1, needed=n < 3) for n in following]

    def ask(self) -> list[Candidate]:
        if self._asked is not None or self._over or self._number + 1 >= self._candidates:
            return []  # to be told first, or done
        one = self._asked = self._next()
        self._number += 1
        return [Candidate(one.distiller, "climb", one.niche, self._number, one.parents)]

    def tell(self, scores: Sequence[Score]) -> None:
        one, (score,) = self._asked, scores
        assert one is not None
        assign_fitness(one, score)
        self.counts["generated"] += 1
        self.counts["trained" if score.ok else "failed"] += 1
        self.hall_of_fame.update([one] if score.ok else [])
        told = (
            {"best": self.best.fitness.values[0], "median": score.ap, "spread": 0.0} if self.best and score.ok else {}
        )
        self.logbook.record(
            stage="climb", generation=self._number, niche=one.niche, new=1, failed=int(not score.ok), generated=1,
            duplicates=0, merged=0, rejected=0, **told,
        )  # fmt: skip
        self._asked = None

    def _next(self) -> Formula:
        while True:
            drawn = self._waiting.pop(0) if self._waiting else self._drawn()
            if drawn is not None and drawn.distiller.text not in self._seen:
                self._seen.add(drawn.distiller.text)
                return drawn

    def _drawn(self) -> Formula | None:
        if self.best is None or self._number % 3 == 0:
            return self._breeder.fresh(self.primitive_set.niches[self._number % len(self.primitive_set.niches)])
        return self._breeder.vary([self.best])
