"""A model of scores: how much of their spread is formulas, how much is luck, and so what a difference is worth.

A score is ``formula + seed + luck``: the seed moves all formulas alike, so that comparisons on one seed do not feel it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean
from typing import Any

import numpy as np
from scipy.stats import norm

from detkds_gp.score import Score, Trial

SURE = 19.0
"""Odds at which two formulas count as told apart: 95 of 100."""
LIKELY = 2.0
"""Odds at which a difference is worth a look."""
LEAST = 3
"""Formulas that are needed to see how they spread, and trainings to see how luck does."""

FEW = 4
"""Degrees of freedom below which an estimate of luck is told to be one of few trainings."""

Scores = Mapping[str, Mapping[int, float]]
"""AP by formula and seed; not every formula needs every seed."""


@dataclass(frozen=True)
class Noise:
    """How formulas and luck share the variance of scores, each score of one training.

    Attributes:
        luck: standard deviation of the scores of one formula, in AP, what a seed does to all formulas left out.
        formulas: that of the formulas' own worth, in AP; None while fewer than three formulas are known.
        degrees: degrees of freedom behind ``luck``: with 2 it may be wrong by half.
        count: formulas behind ``formulas``.
    """

    luck: float
    formulas: float | None
    degrees: int
    count: int

    @property
    def reliability(self) -> float | None:
        """The share of the variance that is formulas, in [0, 1]."""
        if self.formulas is None:
            return None
        whole = self.formulas**2 + self.luck**2
        return self.formulas**2 / whole if whole else 0.0

    def odds(self, difference: float) -> float:
        """Return how likely it is that the higher of two scores is the better formula's, over that it is not.

        Scores that differ by luck alone are drawn towards each other: a difference counts by its reliable share.

        Args:
            difference: of two scores on one seed, in AP, not negative.
        """
        ahead = float(norm.cdf(difference / self._unit)) if self._unit else float(difference > 0) or 0.5
        return ahead / (1 - ahead) if ahead < 1 else float("inf")

    def difference(self, odds: float) -> float:
        """Return the difference of two scores that has these odds, in AP; infinite where all is luck."""
        return float(norm.ppf(odds / (1 + odds))) * self._unit

    @property
    def _unit(self) -> float:
        """The difference of two scores that is one standard deviation of what luck leaves open."""
        share = 1.0 if self.reliability is None else self.reliability
        return self.luck * sqrt(2 / share) if share else float("inf")

    @property
    def separated(self) -> float | None:
        """The share of pairs of formulas whose scores of one training differ by more than `SURE` odds need."""
        if self.formulas is None:
            return None
        if not self.formulas:
            return 0.0
        return 2 * float(norm.sf(norm.ppf(SURE / (1 + SURE)) * self.luck / self.formulas))

    def __str__(self) -> str:
        likely, sure = self.difference(LIKELY), self.difference(SURE)
        if self.formulas is None:
            return f"a difference of {likely:.3f} is two to one, of {sure:.3f} nineteen to one"
        if not self.formulas:
            return f"{self.count} formulas differ by no more than luck does ({self.luck:.3f})"
        pairs = f"this budget separates {_share(self.separated or 0.0)}"
        if self.degrees < FEW:
            pairs += f", if luck is what {self.degrees + 1} trainings show: so few may show a fraction of it"
        return f"a difference of {likely:.3f} is two to one, of {sure:.3f} nineteen to one; {pairs}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        derived: dict[str, Any] = {"reliability": self.reliability, "separated": self.separated}
        odds = {"two_to_one": self.difference(LIKELY), "nineteen_to_one": self.difference(SURE)}
        derived["words"] = str(self)
        return {**asdict(self), **derived, **{name: x if np.isfinite(x) else None for name, x in odds.items()}}


def noise_of(scores: Scores) -> Noise | None:
    """Estimate the model by moments, from a table of formulas by seeds; None where no formula has two seeds.

    Where several formulas have several seeds in common, what a seed does to all of them is taken out first; with one
    such formula, the student alone, it counts as luck, which is then an upper bound.
    """
    known = {formula: dict(aps) for formula, aps in scores.items() if aps}
    repeated = {formula: aps for formula, aps in known.items() if len(aps) > 1}
    if not repeated:
        return None
    variance, degrees, shifts = _luck(repeated)
    worth = [fmean(ap - shifts.get(seed, 0.0) for seed, ap in aps.items()) for aps in known.values()]
    formulas = None
    if len(worth) >= LEAST:
        error = variance * fmean(1 / len(aps) for aps in known.values())
        formulas = sqrt(max(0.0, float(np.var(worth, ddof=1)) - error))
    return Noise(sqrt(variance), formulas, degrees, len(worth))


def scores_of(answers: Iterable[tuple[Trial, Score]], iterations: int) -> Scores:
    """Return the APs on the selection split of all trainings of one length, by formula and seed.

    In an order of their own: the same answers give the same sums to the last bit, whoever came first.
    """
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for trial, score in answers:
        if trial.iterations == iterations and not trial.test and score.ap is not None:
            found[trial.distiller][trial.seed] = score.ap
    return {formula: dict(sorted(aps.items())) for formula, aps in sorted(found.items())}


def _luck(repeated: Scores) -> tuple[float, int, dict[int, float]]:
    """Return the variance within formulas, its degrees of freedom, and what each seed does to all formulas."""
    cells = [(formula, seed, ap) for formula, aps in repeated.items() for seed, ap in aps.items()]
    counts = Counter(seed for _, seed, _ in cells)
    others = [seed for seed, _ in counts.most_common()][1:]
    columns = [*repeated, *others]
    design = np.array([[float(column in (formula, seed)) for column in columns] for formula, seed, _ in cells])
    if len(cells) - int(np.linalg.matrix_rank(design)) < LEAST - 1:  # one formula, or hardly a seed in common
        others, design = [], design[:, : len(repeated)]
    aps = np.array([ap for *_, ap in cells])
    effects = np.linalg.lstsq(design, aps, rcond=None)[0]
    degrees = len(cells) - int(np.linalg.matrix_rank(design))
    variance = float(((aps - design @ effects) ** 2).sum()) / degrees
    return variance, degrees, dict(zip(others, effects[len(repeated) :].tolist(), strict=True))


def _share(share: float) -> str:
    """Say a share in words."""
    if share >= 0.5:
        return f"{share:.0%} of all pairs of formulas"
    return f"about 1 pair of formulas in {round(1 / share)}" if share > 0.005 else "hardly any formulas"
