"""How well a search foresaw the APs of what it then trained."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from detkds_gp.report.run import Run

SURE = 1.96
"""Standard deviations on either side of what is expected within which 95% of APs should lie."""


@dataclass(frozen=True)
class Foresight:
    """What became of what a search expected.

    Attributes:
        count: trainings whose AP was expected before.
        inside: how many of these lie in the 95% interval, the luck of a seed included; None where that is not known.
        off: mean distance of an AP from what was expected.
        off_mean: mean distance of an AP from the mean of them all: what knowing nothing of formulas would give.
    """

    count: int
    inside: int | None
    off: float
    off_mean: float


def foresight(run: Run) -> Foresight | None:
    """Return how well a search foresaw; None where its strategy expects nothing of what it trains."""
    rows = [row for one in run.generations for niche in one.statistics["niches"] for row in niche.get("foreseen", ())]
    if not rows:
        return None
    noise, mean = run.references.noise, fmean(ap for _, _, ap in rows)
    inside = None
    if noise is not None:
        inside = sum(abs(ap - told) <= SURE * (deviation**2 + noise.luck**2) ** 0.5 for told, deviation, ap in rows)
    off = fmean(abs(ap - told) for told, _, ap in rows)
    return Foresight(len(rows), inside, off, off_mean=fmean(abs(ap - mean) for _, _, ap in rows))
