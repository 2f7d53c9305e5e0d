"""A table of real scores: formulas by start and budget, and how well each budget ranks them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from detkds_gp.errors import ConfigError

RESAMPLES = 1000


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        formula: the distiller, scales left out; ``none`` is the student alone.
        niche: its knowledge.
        start: where the student started.
        iterations: its budget.
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


@dataclass(frozen=True)
class Agreement:
    """How a budget ranks formulas against the truth: the longest budget of the first start, on other seeds.

    What the longest budget itself reaches is bound by luck alone: a cheaper one that comes near it is as good.

    Attributes:
        start: of the trainings.
        iterations: the budget.
        tau: Kendall's tau-b, in [-1, 1].
        low: lower end of its 95% bootstrap interval.
        high: upper end.
        own_tau: tau against the longest budget of the same start and seed, with which it shares its luck.
        formulas: ranked on both; failures are left out.
        seconds: mean cost of a training, with the evaluations on the way.
        better: share of the formulas above the student alone.
        repeats: other seeds that the truth is the mean of; 0 if it is the longest training itself.
    """

    start: str
    iterations: int
    tau: float
    low: float
    high: float
    own_tau: float
    formulas: int
    seconds: float
    better: float
    repeats: int


@dataclass(frozen=True)
class Table:
    """The trainings of a study.

    Attributes:
        metric: the AP that scores.
        seed: of the trainings that rank; others are repeats of the longest of the first start.
        rows: the trainings, starts in their order, budgets rising.
    """

    metric: str
    seed: int
    rows: tuple[Row, ...]

    def aps(self, start: str, iterations: int) -> dict[str, float]:
        """Return the AP of every formula that was trained with success."""
        return {r.formula: r.ap for r in self._ranking(start) if r.iterations == iterations and r.ap is not None}

    def truth(self, start: str, iterations: int) -> tuple[dict[str, float], int]:
        """Return the mean AP of every formula over the other seeds, and their number; without any, the APs."""
        seeds = {row.seed for row in self.rows} - {self.seed}
        if not seeds:
            return self.aps(start, iterations), 0
        found: dict[str, list[float]] = {}
        for row in self.rows:
            if (row.start, row.iterations) == (start, iterations) and row.seed != self.seed and row.ap is not None:
                found.setdefault(row.formula, []).append(row.ap)
        return {formula: fmean(aps) for formula, aps in found.items() if len(aps) == len(seeds)}, len(seeds)

    def _ranking(self, start: str) -> Iterator[Row]:
        return (row for row in self.rows if row.start == start and row.seed == self.seed)

    def seconds(self, start: str, iterations: int, continued: bool) -> float:
        """Return the mean cost of a budget; continued ones cost what all before them do."""
        sums: dict[str, float] = {}
        for row in self._ranking(start):
            if row.iterations == iterations or (continued and row.iterations < iterations):
                sums[row.formula] = sums.get(row.formula, 0.0) + row.wall_seconds
        return fmean(sums.values())

    def agreements(self, continued: bool) -> list[Agreement]:
        """Return how every budget of every start ranks, in the order of the rows.

        Args:
            continued: whether a budget goes on from the one before.
        """
        places = list(dict.fromkeys((row.start, row.iterations) for row in self.rows))
        longest = max(iterations for _, iterations in places)
        truth, repeats = self.truth(places[0][0], longest)
        found = []
        for start, iterations in places:
            aps = self.aps(start, iterations)
            tau, low, high, count = bootstrapped_tau(aps, truth)
            own = bootstrapped_tau(aps, self.aps(start, longest))[0]
            alone = aps.get("none", 1.0)
            better = fmean([ap > alone for text, ap in aps.items() if text != "none"] or [False])
            seconds = self.seconds(start, iterations, continued)
            found.append(Agreement(start, iterations, tau, low, high, own, count, seconds, better, repeats))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"metric": self.metric, "seed": self.seed, "rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Table:
        """Read what `to_json` gave.

        Raises:
            ConfigError: if it is something else.
        """
        try:
            return cls(values["metric"], values["seed"], tuple(Row(**row) for row in values["rows"]))
        except (KeyError, TypeError) as error:
            raise ConfigError(f"not a table of scores: {error!r}; wanted what gp_search calibrate writes") from None

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a table from its file.

        Raises:
            ConfigError: if there is none.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read the table {path}: {error}") from None
        return cls.from_json(values)


def bootstrapped_tau(found: Mapping[str, float], truth: Mapping[str, float]) -> tuple[float, float, float, int]:
    """Return Kendall's tau-b of two rankings, its 95% bootstrap interval over formulas, and their number.

    Args:
        found: AP by formula.
        truth: AP by formula; what only one side has is left out.
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


def ceiling(agreements: Sequence[Agreement]) -> Agreement:
    """Return how the longest budget of the first start agrees with itself on other seeds."""
    return max((a for a in agreements if a.start == agreements[0].start), key=lambda a: a.iterations)


def recommended(agreements: Sequence[Agreement], threshold: float) -> Agreement | None:
    """Return the cheapest budget whose tau comes near that of the longest training.

    Args:
        agreements: of a table.
        threshold: the least share of the ceiling's tau, in [0, 1].

    Returns:
        None if the longest training itself does not rank formulas alike on two seeds.
    """
    most = ceiling(agreements)
    good = [a for a in agreements if a.tau >= threshold * most.tau]
    return min(good, key=lambda a: a.seconds, default=None) if most.low > 0 else None
