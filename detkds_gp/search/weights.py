"""Weights on a logarithmic scale: how they are drawn, moved and told apart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

CELLS = 6
"""Weights are told apart on a grid of this many cells a decade: neighbours differ by a factor of 1.47."""

STEP = 0.5
"""Standard deviation of a mutation's step, in decades: a factor of 3."""


def cell(weight: float) -> int:
    """Return the cell of the logarithmic grid that a weight falls in: two weights of one cell count as equal."""
    return round(CELLS * log10(weight))


def rounded(weight: float) -> float:
    """Round a weight to two significant digits, for reading."""
    return float(f"{weight:.2g}")


@dataclass(frozen=True)
class WeightRange:
    """Where weights are searched; every weight is rounded to two significant digits.

    Attributes:
        low: the lowest weight.
        high: the highest; the same as ``low`` where the weight is fixed.
    """

    low: float
    high: float

    @property
    def fixed(self) -> bool:
        """Whether there is only one weight."""
        return self.low == self.high

    def drawn(self, rng: random.Random, present: Sequence[float] = (), strata: int = 1) -> float:
        """Draw a weight where others leave most room.

        Args:
            rng: draws.
            present: weights that the new one stands beside; those out of the range count at its ends.
            strata: parts of equal length on the logarithmic scale. One that holds the fewest of the others is
                chosen, and the weight drawn uniformly within it.
        """
        held = Counter(self._stratum(weight, strata) for weight in present)
        fewest = min(held[index] for index in range(strata))
        chosen = rng.choice([index for index in range(strata) if held[index] == fewest])
        return self._at((chosen + rng.random()) / strata)

    def moved(self, rng: random.Random, weight: float) -> float:
        """Multiply a weight by a log-normal factor, reflected at the ends of the range.

        A weight out of the range, as a published one may have, widens it to itself.
        """
        if self.fixed:
            return weight
        wide = WeightRange(min(self.low, weight), max(self.high, weight))
        share = abs(wide._share(weight) + rng.gauss(0.0, STEP) / wide._decades) % 2
        return wide._at(2 - share if share > 1 else share)

    @property
    def _decades(self) -> float:
        return log10(self.high / self.low)

    def _share(self, weight: float) -> float:
        return 0.0 if self.fixed else log10(weight / self.low) / self._decades

    def _stratum(self, weight: float, strata: int) -> int:
        return min(max(floor(strata * self._share(weight)), 0), strata - 1)

    def _at(self, share: float) -> float:
        """Return the weight at a share of the way from low to high."""
        return min(max(rounded(self.low * (self.high / self.low) ** share), self.low), self.high)
