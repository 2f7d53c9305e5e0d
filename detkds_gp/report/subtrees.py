"""Which parts the best formulas have more often than the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from detkds_gp.gain import Interval
from detkds_gp.report.outline import outline
from detkds_gp.report.run import Candidate

SHOWN, LEAST = 10, 3
_Z = 1.96
_NUMBER = re.compile(r"(?<![\w.])-?\d[\w.+-]*")


@dataclass(frozen=True)
class Frequent:
    """A subtree, with ``·`` in place of numbers: how many of the best tenth and of the rest have it.

    The difference of the two shares has a 95% interval.
    """

    text: str
    best: int
    rest: int
    difference: Interval


def frequent(ranking: Sequence[Candidate]) -> tuple[list[Frequent], int]:
    """Compare the best tenth of a ranking with the rest.

    Returns:
        the subtrees that at least LEAST of the best have, the largest difference first, and how many the best
        tenth are. Of subtrees within each other that as many of the best have, the largest stands for all.
    """
    size = ceil(len(ranking) / 10)
    best, rest = (_counted(part) for part in (ranking[:size], ranking[size:]))
    others = len(ranking) - size
    if not others:
        return [], size
    found = [
        Frequent(text, count, rest[text], share_difference(count, size, rest[text], others))
        for text, count in best.items()
        if count >= LEAST
    ]
    found.sort(key=lambda one: (-one.difference.low, -len(one.text), one.text))
    closed = []
    for one in found:
        alike = (other for other in found if other.best == one.best and other is not one)
        if not any(one.text in other.text for other in alike):
            closed.append(one)
    return closed[:SHOWN], size


def share_difference(k: int, n: int, other_k: int, other_n: int) -> Interval:
    """Return the difference of two shares with Newcombe's 95% interval (1998, method 10)."""
    p, (low, high) = k / n, _wilson(k, n)
    q, (other_low, other_high) = other_k / other_n, _wilson(other_k, other_n)
    below = sqrt((p - low) ** 2 + (other_high - q) ** 2)
    above = sqrt((high - p) ** 2 + (q - other_low) ** 2)
    return Interval(p - q, p - q - below, p - q + above)


def _wilson(k: int, n: int) -> tuple[float, float]:
    p, z2 = k / n, _Z * _Z
    middle, reach = p + z2 / (2 * n), _Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (middle - reach) / (1 + z2 / n), (middle + reach) / (1 + z2 / n)


def _counted(candidates: Sequence[Candidate]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for candidate in candidates:
        counts.update({_NUMBER.sub("·", call) for term in outline(candidate.text) for call in term.calls})
    return counts
