"""A model of scores: how much of their spread is formulas, how much is luck, and so what a difference is worth.

A score is ``formula + seed + luck``: the seed moves all formulas alike, so that comparisons on one seed do not feel it.
Luck is estimated from few trainings, so odds come from Student's t with the degrees of freedom of that estimate.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean
from typing import Any

import numpy as np
from scipy.special import chdtri, ndtr, stdtrit

from detkds_gp.score import Score, Trial

SURE = 19.0
"""Odds at which two formulas count as told apart: 95 of 100."""
LIKELY = 2.0
"""Odds at which a difference is worth a look."""
LEAST = 3
"""Formulas that are needed to see how they spread, and trainings to see how luck does."""
CONFIDENCE = 0.95
"""Of the interval of luck."""

Scores = Mapping[str, Mapping[int, float]]
"""AP by formula and seed; not every formula needs every seed."""


@dataclass(frozen=True)
class Noise:
    """How formulas and luck share the variance of scores, each score of one training.

    Attributes:
        luck: standard deviation of the scores of one formula, in AP, what a seed does to all formulas left out.
        formulas: that of the formulas' own worth, in AP; None while fewer than three formulas are known.
        degrees: degrees of freedom behind ``luck``.
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

    @property
    def luck_interval(self) -> tuple[float, float]:
        """The 95% interval of luck, in AP, from the chi-square distribution of its estimate."""
        tail = (1 - CONFIDENCE) / 2
        low, high = (self.luck * sqrt(self.degrees / float(chdtri(self.degrees, q))) for q in (tail, 1 - tail))
        return low, high

    def difference(self, odds: float) -> float:
        """Return the difference of two scores on one seed with these odds that the higher one is the better formula's.

        Scores that differ by luck alone are drawn towards each other: a difference counts by its reliable share. That
        luck itself is estimated makes the odds Student's: over many estimates they hold as often as they say. The
        difference is in AP, and infinite where all is luck.
        """
        share = 1.0 if self.reliability is None else self.reliability
        deviation = self.luck * sqrt(2 / share) if share else float("inf")
        return float(stdtrit(self.degrees, odds / (1 + odds))) * deviation

    @property
    def separated(self) -> float | None:
        """The share of pairs of formulas whose scores of one training differ by more than `SURE` odds need."""
        if self.formulas is None:
            return None
        if not self.formulas:
            return 0.0
        return 2 * float(ndtr(-stdtrit(self.degrees, SURE / (1 + SURE)) * self.luck / self.formulas))

    def __str__(self) -> str:
        low, high = self.luck_interval
        luck = f"luck is {self.luck:.3f} (95%: {low:.3f} to {high:.3f})"
        if self.formulas == 0:
            return f"{self.count} formulas differ by no more than luck seems to; {luck}"
        likely, sure = self.difference(LIKELY), self.difference(SURE)
        odds = f"a difference of {likely:.3f} is two to one, of {sure:.3f} nineteen to one"
        if self.separated is None:
            return f"{odds}; {luck}"
        return f"{odds}; this budget separates {_share(self.separated)}; {luck}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        low, high = self.luck_interval
        derived = {"luck_low": low, "luck_high": high, "reliability": self.reliability, "separated": self.separated}
        odds = {"two_to_one": self.difference(LIKELY), "nineteen_to_one": self.difference(SURE)}
        finite = {name: x if np.isfinite(x) else None for name, x in odds.items()}
        return {**asdict(self), **derived, "words": str(self), **finite}


def noise_of(scores: Scores, *others: Scores) -> Noise | None:
    """Estimate the model by moments, from a table of formulas by seeds; None where no formula has two seeds.

    Where several formulas have several seeds in common, what a seed does to all of them is taken out first; with one
    such formula, the student alone, it counts as luck, which is then an upper bound.

    Args:
        scores: of the formulas whose spread is asked for.
        others: further tables of trainings of the same length, such as the final round's: they count for luck only,
            each for itself, since formulas that were chosen by one table are no fair sample of it.
    """
    known = {formula: dict(aps) for formula, aps in scores.items() if aps}
    tables = [{name: aps for name, aps in table.items() if len(aps) > 1} for table in (known, *others)]
    found = [_luck(table) for table in tables if table]
    if not found:
        return None
    degrees = sum(freedom for _, freedom, _ in found)
    variance = sum(squares for squares, *_ in found) / degrees
    shifts = found[0][2] if tables[0] else {}
    worth = [fmean(ap - shifts.get(seed, 0.0) for seed, ap in aps.items()) for aps in known.values()]
    formulas = None
    if len(worth) >= LEAST:
        error = variance * fmean(1 / len(aps) for aps in known.values())
        formulas = sqrt(max(0.0, float(np.var(worth, ddof=1)) - error))
    return Noise(sqrt(variance), formulas, degrees, len(worth))


def noise_of_trainings(answers: Iterable[tuple[Trial, Score]], iterations: int) -> Noise | None:
    """Estimate the model from all that is trained for some iterations: search, repeats, and a final round as long."""
    known = list(answers)
    return noise_of(scores_of(known, iterations), scores_of(known, iterations, final=True))


def scores_of(answers: Iterable[tuple[Trial, Score]], iterations: int, *, final: bool = False) -> Scores:
    """Return the APs on selection of all trainings of one length, of the final round or all others.

    In an order of their own: the same answers give the same sums to the last bit, whoever came first.
    """
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for trial, score in answers:
        if trial.iterations == iterations and trial.test == final and score.ap is not None:
            found[trial.distiller][trial.seed] = score.ap
    return {formula: dict(sorted(aps.items())) for formula, aps in sorted(found.items())}


def _luck(repeated: Scores) -> tuple[float, int, dict[int, float]]:
    """Return the squares left within formulas, their degrees of freedom, and what each seed does to all formulas."""
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
    squares = float(((aps - design @ effects) ** 2).sum())
    return squares, degrees, dict(zip(others, effects[len(repeated) :].tolist(), strict=True))


def _share(share: float) -> str:
    """Say a share in words."""
    if share >= 0.5:
        return f"{share:.0%} of all pairs of formulas"
    return f"about 1 pair of formulas in {round(1 / share)}" if share > 0.005 else "hardly any formulas"
