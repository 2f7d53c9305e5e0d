"""Which weights are trained next: some spread over the range, then where most improvement is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log10

from detkds_gp.search import CELLS, WeightRange, cell, rounded
from detkds_gp.tuning.curve import Curve

FIRST = 6
"""Trainings before the first curve is drawn, those at given weights among them."""

LEAST_TRAININGS = 3
"""The fewest that make a curve."""

ROUND = 2
"""Trainings that are asked at a time."""

Aps = dict[float, float | None]
"""By weight, the AP of its training, None if it failed; in the order they were asked."""


@dataclass(frozen=True)
class Tuner:
    """A deterministic function of what was told, so that a stopped tuning continues by replay.

    Attributes:
        weights: where to look; starts out of it widen it.
        starts: weights that are trained first, such as the published one.
        trainings: how many at most.
    """

    weights: WeightRange
    starts: tuple[float, ...] = (1.0,)
    trainings: int = 12

    def ask(self, told: Mapping[float, float | None]) -> list[float]:
        """Return the next weights, none of them in the same cell as another; empty when all trainings are made."""
        count, asked = min(ROUND, self.trainings - len(told)), dict(told)
        chosen: list[float] = []
        for _ in range(count):
            weight = self._next(asked)
            if weight is None:
                break
            chosen.append(weight)
            # Trainings under way count as if they came out as expected.
            asked[weight] = Curve(asked).at([weight])[0].ap if _some(asked) else None
        return chosen

    def _next(self, told: Mapping[float, float | None]) -> float | None:
        taken = {cell(weight) for weight in told}
        given = next((start for start in self.starts if cell(start) not in taken), None)
        if given is not None:
            return given
        low, high = min(self.weights.low, *self.starts), max(self.weights.high, *self.starts)
        grid = [rounded(10 ** (index / CELLS)) for index in range(cell(low), cell(high) + 1)]
        free = [weight for weight in grid if cell(weight) not in taken]
        if not free:
            return None
        if len(told) < FIRST or not _some(told):
            others = (*told, low / 2, high * 2)  # beyond the ends: the first trainings are not spent on the very ends
            return max(free, key=lambda weight: min(abs(log10(weight / other)) for other in others))
        return free[int(Curve(told).improvement(free).argmax())]


def _some(told: Mapping[float, float | None]) -> bool:
    return any(ap is not None for ap in told.values())


def tuned_aps(
    tuner: Tuner, score: Callable[[Sequence[float]], Sequence[float | None]], goes_on: Callable[[], bool] = lambda: True
) -> Aps:
    """Train at one weight after another, as long as it goes on after the first round; a failed training has no AP."""
    told: Aps = {}
    while (weights := tuner.ask(told)) and (not told or goes_on()):
        told.update(zip(weights, score(weights), strict=True))
    return told
