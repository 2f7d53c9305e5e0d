"""A table of real scores: formulas by start and budget, and how well each budget ranks them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from detkds_gp.errors import ConfigError
from detkds_gp.noise import Noise, noise_of

RESAMPLES = 1000
MOST_SEEDS = 4
"""Seeds of a formula up to which it is asked whether they are worth their trainings."""


@dataclass(frozen=True)
class Way:
    """How students are trained, whatever the length.

    Attributes:
        start: where the student starts.
        decay: share of the training over which the learning rate falls.
        average: decay of the moving average of the weights that are scored.
    """

    start: str
    decay: float = 0.0
    average: float = 0.0

    def __str__(self) -> str:
        falls = f", rate falls over {self.decay:.0%}" if self.decay else ""
        return f"{self.start}{falls}, {f'averaged {self.average:g}' if self.average else 'last weights'}"


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        formula: the distiller, scales left out; ``none`` is the student alone.
        niche: its knowledge; ``mix`` of several.
        iterations: its budget; start, decay and average are those of its `Way`.
        seed: of its plan and its initial weights.
        ap: on the selection split; None for a failure.
        failure: its name.
        wall_seconds: what it cost, from the budget before it on.
    """

    formula: str
    niche: str
    start: str
    iterations: int
    seed: int
    ap: float | None
    failure: str | None
    wall_seconds: float
    decay: float = 0.0
    average: float = 0.0

    @property
    def way(self) -> Way:
        """How it was trained."""
        return Way(self.start, self.decay, self.average)


@dataclass(frozen=True)
class Agreement:
    """How a budget ranks formulas against the truth: the longest budget of the first way, on other seeds.

    What the longest budget itself reaches is bound by luck alone: a cheaper one that comes near it is as good.

    Attributes:
        way: how students were trained.
        iterations: the budget.
        tau: Kendall's tau-b, in [-1, 1].
        low: lower end of its 95% bootstrap interval.
        high: upper end.
        own_tau: tau against the longest budget of the same way and seed, with which it shares its luck.
        formulas: ranked on both; failures are left out.
        seconds: mean cost of a training, with the evaluations on the way.
        better: share of the formulas above the student alone.
        repeats: other seeds that the truth is the mean of; 0 if it is the longest training itself.
        expected: the true AP to expect of the formula with the best score, of as many as the minutes allow.
        seeds: on which a formula is best trained in these minutes, so many fewer formulas; None where luck is unknown.
        more: AP that so many seeds are expected to bring over one.
        end_tau: tau against the students trained to their end, with its interval; None where none were.
    """

    way: Way
    iterations: int
    tau: float
    low: float
    high: float
    own_tau: float
    formulas: int
    seconds: float
    better: float
    repeats: int
    expected: float
    seeds: int | None = None
    more: float = 0.0
    end_tau: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Table:
    """The trainings of a study.

    Attributes:
        metric: the AP that scores.
        seed: of the trainings that rank; others are repeats of the longest of the first way.
        rows: the trainings, ways in their order, budgets rising.
        end: students trained to their end, on other seeds, by which nothing is recommended.
    """

    metric: str
    seed: int
    rows: tuple[Row, ...]
    end: tuple[Row, ...] = ()

    def aps(self, way: Way, iterations: int) -> dict[str, float]:
        """Return the AP of every formula that was trained with success."""
        return {r.formula: r.ap for r in self._ranking(way) if r.iterations == iterations and r.ap is not None}

    def truth(self, way: Way, iterations: int) -> tuple[dict[str, float], int]:
        """Return the mean AP of every formula over the other seeds, and their number; without any, the APs."""
        seeds = {row.seed for row in self.rows} - {self.seed}
        if not seeds:
            return self.aps(way, iterations), 0
        longest = [r for r in self.rows if (r.way, r.iterations) == (way, iterations) and r.seed != self.seed]
        return _means(longest), len(seeds)

    def _ranking(self, way: Way) -> Iterator[Row]:
        return (row for row in self.rows if row.way == way and row.seed == self.seed)

    def seconds(self, way: Way, iterations: int) -> float:
        """Return the mean cost of a budget; without decay it continues those before it and costs what they do, too."""
        sums: dict[str, float] = {}
        for row in self._ranking(way):
            if row.iterations == iterations or (not way.decay and row.iterations < iterations):
                sums[row.formula] = sums.get(row.formula, 0.0) + row.wall_seconds
        return fmean(sums.values())

    def agreements(self, minutes: float) -> list[Agreement]:
        """Return how every budget ranks where a search has some minutes for trainings, one after the other."""
        places = list(dict.fromkeys((row.way, row.iterations) for row in self.rows))
        longest = max(iterations for _, iterations in places)
        truth, repeats = self.truth(places[0][0], longest)
        ends = _means(self.end)
        found = []
        for way, iterations in places:
            aps = self.aps(way, iterations)
            tau, low, high, count = bootstrapped_tau(aps, truth)
            own = bootstrapped_tau(aps, self.aps(way, longest))[0]
            alone = aps.get("none", 1.0)
            better = fmean([ap > alone for text, ap in aps.items() if text != "none"] or [False])
            seconds = self.seconds(way, iterations)
            draws = 60 * minutes / max(seconds, 1e-9)
            told = Agreement(
                way, iterations, tau, low, high, own, count, seconds, better, repeats, expected_best(aps, truth, draws)
            )
            seeds, more = best_seeds(aps, truth, draws, self.noise(way, iterations))
            end = bootstrapped_tau(aps, ends)[:3] if ends else None
            found.append(replace(told, seeds=seeds, more=more, end_tau=end))
        return found

    def noise(self, way: Way, iterations: int) -> Noise | None:
        """Return how formulas and luck share the scores of a budget; None where it has one seed."""
        found: dict[str, dict[int, float]] = {}
        for row in self.rows:
            if (row.way, row.iterations) == (way, iterations) and row.ap is not None:
                found.setdefault(row.formula, {})[row.seed] = row.ap
        return noise_of(found)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        rows, end = ([asdict(row) for row in rows] for rows in (self.rows, self.end))
        return {"metric": self.metric, "seed": self.seed, "rows": rows, "end": end}

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read from a file what `to_json` gave.

        Raises:
            ConfigError: if there is none, or it holds something else.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read the table {path}: {error}") from None
        try:
            rows, end = (tuple(Row(**row) for row in found) for found in (values["rows"], values.get("end", ())))
            return cls(values["metric"], values["seed"], rows, end)
        except (KeyError, TypeError) as error:
            raise ConfigError(f"not a table of scores: {error!r}; wanted what gp_search proxy writes") from None


def _means(rows: Sequence[Row]) -> dict[str, float]:
    """Return the mean AP of every formula that was trained with success on every seed of some rows."""
    seeds, found = {row.seed for row in rows}, dict[str, list[float]]()
    for row in rows:
        if row.ap is not None:
            found.setdefault(row.formula, []).append(row.ap)
    return {formula: fmean(aps) for formula, aps in found.items() if len(aps) == len(seeds)}


def bootstrapped_tau(found: Mapping[str, float], truth: Mapping[str, float]) -> tuple[float, float, float, int]:
    """Return Kendall's tau-b of two rankings, its 95% bootstrap interval over formulas, and their number.

    Both sides give the AP by formula; what only one side has is left out.
    """
    from scipy.stats import kendalltau

    shared = [text for text in found if text in truth]
    a, b = np.array([found[t] for t in shared]), np.array([truth[t] for t in shared])
    if len(shared) < 3:
        return float("nan"), float("nan"), float("nan"), len(shared)
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(shared), len(shared)) for _ in range(RESAMPLES)]
    taus = [tau for draw in draws if np.isfinite(tau := kendalltau(a[draw], b[draw]).statistic)]
    low, high = np.percentile(taus, [2.5, 97.5]) if taus else (float("nan"), float("nan"))
    return float(kendalltau(a, b).statistic), float(low), float(high), len(shared)


def expected_best(found: Mapping[str, float], truth: Mapping[str, float], draws: float) -> float:
    """Return the mean truth of the formula that scores best among some drawn from all, each as often as it comes.

    Args:
        found: score by formula.
        truth: true AP by formula; what only one side has is left out.
        draws: how many formulas are drawn, 1 or more; not necessarily whole.
    """
    ranked = sorted((text for text in found if text in truth), key=lambda text: found[text])
    if not ranked:
        return float("nan")
    below = np.arange(len(ranked) + 1) / len(ranked)
    chances = np.diff(below ** max(1.0, draws))
    return float(chances @ np.array([truth[text] for text in ranked]))


def best_seeds(
    found: Mapping[str, float], truth: Mapping[str, float], draws: float, noise: Noise | None
) -> tuple[int | None, float]:
    """Return on how many seeds a formula is best trained where so many fewer are, and what that brings over one.

    Where formulas and luck are normal, the best of n scores is expected to have a true AP of
    ``cov(score, truth) / sd(score) * E[max of n normal]`` above the mean; k seeds leave a k-th of the luck's variance.
    None and 0 where it is not known how formulas and luck share the scores.

    Args:
        found: score by formula, of one seed each.
        truth: true AP by formula; what only one side has is left out.
        draws: how many trainings there is time for.
        noise: of one training.
    """
    shared = [text for text in found if text in truth]
    if noise is None or not noise.formulas or len(shared) < 3:
        return None, 0.0
    common = float(np.cov([found[text] for text in shared], [truth[text] for text in shared])[0, 1])
    gains = {
        seeds: max(0.0, common) / float(np.hypot(noise.formulas, noise.luck / seeds**0.5)) * _largest(draws / seeds)
        for seeds in range(1, MOST_SEEDS + 1)
    }
    best = max(gains, key=lambda seeds: (round(gains[seeds], 4), -seeds))
    return best, gains[best] - gains[1]


def _largest(draws: float) -> float:
    """Return the expectation of the largest of some normal draws, 1 or more, not necessarily whole."""
    from scipy.special import ndtr

    x = np.linspace(-8.0, 8.0, 4001)
    return float(np.sum((x[1:] + x[:-1]) / 2 * np.diff(ndtr(x) ** max(1.0, draws))))


def ceiling(agreements: Sequence[Agreement]) -> Agreement:
    """Return how the longest budget of the first way agrees with itself on other seeds."""
    return max((a for a in agreements if a.way == agreements[0].way), key=lambda a: a.iterations)


def recommended(agreements: Sequence[Agreement]) -> Agreement | None:
    """Return the budget whose best score promises the highest true AP, of equals the cheapest; None if all is luck."""
    told = [a for a in agreements if a.low > 0]
    return max(told, key=lambda a: (round(a.expected, 4), -a.seconds), default=None)
