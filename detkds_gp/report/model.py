"""What features are worth: effects by ridge regression, importance by a random forest, held to unseen candidates.

scikit-learn and scipy's statistics take seconds to import, so that they wait for a run to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from detkds_gp.gain import Interval, paired_gain

FOLDS, TREES, RESAMPLES = 5, 100, 300
_ALPHAS = np.logspace(-2, 3, 11)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """What was learnt from a table of candidates.

    Attributes:
        effects: (features,), AP for one step of each feature, all others held; of an alternative: in place of
            what the candidates had on average.
        draws: (resamples, features), the same from candidates drawn anew with replacement.
        importance: by feature, the R² that the forest loses on unseen candidates without it.
        predicted: (candidates,), the forest's prediction of each by the trees that have not seen it.
        r2: of these predictions, with a 95% interval.
        rank: rank correlation of the predictions with what was reached.
    """

    effects: Array
    draws: Array
    importance: tuple[Interval, ...]
    predicted: Array
    r2: Interval
    rank: float

    def contrast(self, some: Sequence[int], others: Sequence[int] = (), tests: int = 1) -> Interval:
        """Return the mean effect of some columns less that of others (0 without any), with its interval.

        It is of 95%, or as much wider as so many tests at once ask for.
        """
        weights = np.zeros(len(self.effects))
        weights[list(some)] = 1 / len(some)
        weights[list(others)] -= 1 / max(len(others), 1)
        reach = float(ndtri(1 - 0.025 / tests)) * float((self.draws @ weights).std())
        effect = float(self.effects @ weights)
        return Interval(effect, effect - reach, effect + reach)


def learn(values: Array, ap: Array, alternatives: Sequence[Sequence[int]] = (), seed: int = 0) -> Model:
    """Learn APs from features.

    Args:
        values: (candidates, features), at least one feature and twice FOLDS candidates.
        ap: (candidates,).
        alternatives: groups of columns of which every formula has one.
        seed: of folds, trees and resamples: the same table gives the same model.
    """
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(seed)
    alpha = float(RidgeCV(_ALPHAS).fit(values, ap).alpha_)
    everyone = np.ones(len(ap))
    counts = rng.multinomial(len(ap), everyone / len(ap), size=RESAMPLES).astype(float)
    against = _against(values, alternatives)
    draws = [against @ _ridge(values, ap, drawn, alpha) for drawn in counts]
    predicted, importance = _forest(values, ap, rng, seed)
    return Model(
        against @ _ridge(values, ap, everyone, alpha), np.array(draws), importance, predicted,
        _r2_interval(ap, predicted, rng), rank_correlation(predicted, ap) or 0.0,
    )  # fmt: skip


def rank_correlation(one: Sequence[float] | Array, other: Sequence[float] | Array) -> float | None:
    """Return Spearman's rank correlation; None where a side has one value only."""
    from scipy.stats import spearmanr

    rho = float(spearmanr(one, other).statistic)
    return rho if rho == rho else None


def _ridge(values: Array, ap: Array, counts: Array, alpha: float) -> Array:
    """Solve a ridge regression with an intercept, each row counted so often."""
    total = counts.sum()
    centred = values - counts @ values / total
    weighted = centred * counts[:, None]
    target = ap - counts @ ap / total
    return np.linalg.solve(weighted.T @ centred + alpha * np.eye(values.shape[1]), weighted.T @ target)


def _against(values: Array, alternatives: Sequence[Sequence[int]]) -> Array:
    """Return the matrix that takes from the effect of each alternative the mean effect of its group."""
    matrix = np.eye(values.shape[1])
    for columns in alternatives:
        shares = values[:, columns].sum(axis=0)
        matrix[np.ix_(columns, columns)] -= shares / (shares.sum() or 1.0)
    return matrix


def _forest(values: Array, ap: Array, rng: np.random.Generator, seed: int) -> tuple[Array, tuple[Interval, ...]]:
    """Return held-out predictions, and what they lose when a feature's values are shuffled."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    predicted, lost = np.zeros(len(ap)), []
    for train, held in KFold(FOLDS, shuffle=True, random_state=seed).split(values):
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=seed)
        forest.fit(values[train], ap[train])
        predicted[held] = forest.predict(values[held])
        lost.append(_lost(forest, values[held], ap[held], predicted[held], rng))
    return predicted, tuple(paired_gain(column, [0.0] * FOLDS) for column in zip(*lost, strict=True))


def _lost(forest: Any, values: Array, ap: Array, told: Array, rng: np.random.Generator) -> Array:
    """Return the loss of R² for every feature shuffled; all are predicted in one call."""
    count, width = values.shape
    shuffled = np.repeat(values[None], width, axis=0)
    for column in range(width):
        shuffled[column, :, column] = rng.permutation(values[:, column])
    guesses = forest.predict(shuffled.reshape(-1, width)).reshape(width, count)
    whole = float(((ap - ap.mean()) ** 2).sum()) or 1.0
    return (((ap - guesses) ** 2).sum(axis=1) - ((ap - told) ** 2).sum()) / whole


def _r2_interval(ap: Array, predicted: Array, rng: np.random.Generator) -> Interval:
    def r2(rows: NDArray[np.int64]) -> float:
        real, told = ap[rows], predicted[rows]
        whole = float(((real - real.mean()) ** 2).sum())
        return 1 - float(((real - told) ** 2).sum()) / whole if whole > 0 else 0.0

    found = [r2(rng.integers(len(ap), size=len(ap))) for _ in range(RESAMPLES)]
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(r2(np.arange(len(ap))), float(low), float(high))
