"""The gain over the baseline, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any


@dataclass(frozen=True)
class Interval:
    """A mean of paired differences with the ends of its 95% confidence interval, in AP; the mean lies in [-1, 1]."""

    mean: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{signed(self.mean)} [{signed(self.low)}, {signed(self.high)}]"


def signed(difference: float) -> str:
    """Write a difference of APs to three places; what rounds to nothing has no sign.

    >>> signed(-0.0123), signed(-0.0001)
    ('-0.012', '0.000')
    """
    text = f"{difference:+.3f}"
    return "0.000" if text[1:] == "0.000" else text


def paired_gain(treated: Sequence[float], baseline: Sequence[float]) -> Interval:
    """Return the mean difference of pairs trained on the same seed, with Student's 95% interval.

    Args:
        treated: one AP per seed.
        baseline: the AP without distillation on the same seeds, in the same order.

    Raises:
        ValueError: if the numbers of both differ or are below 2.
    """
    if len(treated) != len(baseline) or len(treated) < 2:
        raise ValueError(f"got {len(treated)} and {len(baseline)} APs, wanted as many, 2 or more")
    from scipy.special import stdtrit

    differences = [a - b for a, b in zip(treated, baseline, strict=True)]
    mean = fmean(differences)
    student = float(stdtrit(len(differences) - 1, 0.975))
    margin = student * stdev(differences) / sqrt(len(differences))
    return Interval(mean, mean - margin, mean + margin)


def complete_gain(treated: Sequence[float | None], baseline: Sequence[float | None]) -> Interval | None:
    """Return `paired_gain`; None while a seed of either side is missing or failed, or with fewer than 2."""
    ours, theirs = ([ap for ap in side if ap is not None] for side in (treated, baseline))
    if not 2 <= len(ours) == len(treated) == len(baseline) == len(theirs):
        return None
    return paired_gain(ours, theirs)


def verdict(gain: Interval | None) -> str:
    """Say in words what the interval of a gain over the student alone allows to say.

    >>> verdict(Interval(0.01, -0.02, 0.04))
    'not distinguishable from the student alone: the interval of the gain holds 0'
    """
    if gain is None:
        return "no verdict: the run is not finished, its budget left no two seeds, or a training on one failed"
    if gain.low > 0:
        return "better than the student alone: the interval of the gain is above 0"
    if gain.high < 0:
        return "worse than the student alone: the interval of the gain is below 0"
    return "not distinguishable from the student alone: the interval of the gain holds 0"
