"""A belief about distillers: which AP each is expected to reach, and how sure that is.

A Gaussian process (scikit-learn's) over sums of terms. A term is known by its knowledge, its direction (the gradient
it gives the student), the primitives of its tree and the logarithm of its weight; so formulas at several weights,
formulas that pull the same way and mixes that share them teach each other. The noise of seeds is estimated with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log10
from typing import Any, TypeAlias

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel, WhiteKernel
from threadpoolctl import threadpool_limits

from detkds_gp.language import Distiller, PrimitiveSet, Term
from detkds_gp.screening import DIRECTION

STEPS = 12
"""Of the optimiser in one fit; the next fit goes on from there."""

GROWTH = 1.2
"""Times as many scores as at the last fit, before the length scales are fitted again."""

WINDOW = 1500
"""Scores that are learned from, at most: the last ones."""

Directions: TypeAlias = Callable[[str], Sequence[float] | None]
"""Gives the direction of a formula, `DIRECTION` numbers; None where it has none."""

_JITTER = 1e-9

BOUNDS = {
    "knowledge": (1e-3, 10.0),
    "term": (1e-2, 10.0),
    "pair": (1e-4, 10.0),
    "direction": (0.1, 10.0),
    "parts": (0.3, 30.0),
    "decades": (0.2, 10.0),
}
"""What a fit chooses, and between which limits."""


@dataclass
class Belief:
    """What is believed of distillers after some scores: a deterministic function of these.

    Attributes:
        primitive_set: the grammar.
        direction: gives that of a formula.
    """

    primitive_set: PrimitiveSet
    direction: Directions
    _model: GaussianProcessRegressor | None = None
    _fitted: int = 0
    _blocks: dict[str, ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._parts = {name: place for place, name in enumerate(self.primitive_set.declarations)}

    def learn(self, distillers: Sequence[Distiller], aps: Sequence[float]) -> None:
        """Believe what follows from the APs of distillers, one each, in the order they became known."""
        rows, known = self._rows(distillers[-WINDOW:]), np.asarray(aps[-WINDOW:])
        grown = self._model is None or len(aps) >= GROWTH * self._fitted
        fresh = _fresh_kernel(len(self.primitive_set.niches))
        kernel = fresh if self._model is None else self._model.kernel_
        model = GaussianProcessRegressor(kernel, alpha=1e-8, normalize_y=True, optimizer=_improved if grown else None)
        with warnings.catch_warnings(), threadpool_limits(1):  # another number of threads rounds otherwise
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model = model.fit(rows, known)
        self._fitted = len(aps) if grown else self._fitted

    def expected(self, distillers: Sequence[Distiller]) -> tuple[ndarray, ndarray]:
        """Return the expected AP of distillers and its standard deviation, (n,) each, without the noise of a seed."""
        with threadpool_limits(1):
            mean, deviation = self._learned.predict(self._rows(distillers), return_std=True)
        return mean, np.sqrt(np.maximum(deviation**2 - self.noise, 0.0))

    def sampled(self, distillers: Sequence[Distiller], count: int, seed: int) -> ndarray:
        """Draw what the APs of distillers might be, jointly.

        Returns:
            (count, n), each row one draw.
        """
        with threadpool_limits(1):
            mean, covariance = self._learned.predict(self._rows(distillers), return_cov=True)
            covariance -= (self.noise - _JITTER) * np.eye(len(mean))
            root = np.linalg.cholesky(covariance)
            return mean + np.random.default_rng(seed).standard_normal((count, len(mean))) @ root.T

    @property
    def noise(self) -> float:
        """The variance of an AP over seeds, as far as can be told from the APs."""
        model = self._learned
        return float(model.kernel_.k2.noise_level) * float(model._y_train_std) ** 2

    @property
    def ready(self) -> bool:
        """Whether anything was learned."""
        return self._model is not None

    @property
    def _learned(self) -> GaussianProcessRegressor:
        if self._model is None:
            raise ValueError("got no AP to learn from, wanted some; call learn() first")
        return self._model

    def _rows(self, distillers: Sequence[Distiller]) -> ndarray:
        niches = self.primitive_set.niches
        rows = np.zeros((len(distillers), len(niches), 2 + DIRECTION + len(self._parts)))
        for row, distiller in zip(rows, distillers, strict=True):
            for term in distiller.terms:
                row[niches.index(term.knowledge)] = self._block(term)
                row[niches.index(term.knowledge), 1] = log10(term.weight)
        return rows.reshape(len(distillers), -1)

    def _block(self, term: Term) -> ndarray:
        """Return what is known of a term beside its weight."""
        if term.formula not in self._blocks:
            block = np.zeros(2 + DIRECTION + len(self._parts))
            block[0] = 1
            direction = self.direction(term.formula)
            if direction is not None:
                block[2 : 2 + DIRECTION] = direction
            for node in term.tree:
                if node.name in self._parts:
                    block[2 + DIRECTION + self._parts[node.name]] += 1
            self._blocks[term.formula] = block
        return self._blocks[term.formula]


def _fresh_kernel(niches: int) -> Kernel:
    return TermsKernel(niches, DIRECTION) + WhiteKernel(0.3, (1e-3, 10.0))


def _improved(objective: Callable[..., Any], start: ndarray, bounds: ndarray) -> tuple[ndarray, float]:
    """Return parameters of higher posterior than those at the start, and the negative logarithm of it there.

    A few scores alone would drive them to their bounds: each is taken to be within a factor of e of its default.
    """

    def posterior(theta: ndarray) -> tuple[float, ndarray]:
        value, slope = objective(theta)
        return value + 0.5 * float(((theta - _DEFAULT) ** 2).sum()), slope + theta - _DEFAULT

    found = minimize(posterior, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    return found.x, found.fun


class TermsKernel(Kernel):
    """Likeness of the terms that compare the same knowledge, added up, and of pairs of such terms.

    A row holds for each of ``niches`` knowledges: 1 where there is a term, the decimal logarithm of its weight,
    ``width`` numbers of its direction, and how often each primitive stands in its tree.

    Args:
        niches: how many knowledges.
        width: numbers of a direction.
        knowledge: variance of what a knowledge gains on average.
        term: variance of what a term gains beyond that.
        pair: variance of what terms gain beside each other.
        direction: length scale of directions.
        parts: length scale of counts of primitives.
        decades: length scale of weights, in decades.
    """

    def __init__(
        self, niches: int, width: int, knowledge: float = 0.3, term: float = 1.0, pair: float = 0.03,
        direction: float = 0.7, parts: float = 2.0, decades: float = 1.0,
    ) -> None:  # fmt: skip
        self.niches, self.width = niches, width
        self.knowledge, self.term, self.pair = knowledge, term, pair
        self.direction, self.parts, self.decades = direction, parts, decades

    @property
    def theta(self) -> ndarray:
        """The logarithms of what a fit chooses, in the order of `BOUNDS`."""
        return np.log([getattr(self, name) for name in BOUNDS])

    @theta.setter
    def theta(self, theta: ndarray) -> None:
        for name, value in zip(BOUNDS, np.exp(theta), strict=True):
            setattr(self, name, float(value))

    @property
    def bounds(self) -> ndarray:
        """Of `theta`, (6, 2)."""
        return np.log(list(BOUNDS.values()))

    def is_stationary(self) -> bool:
        """Tell that likeness depends on more than differences."""
        return False

    def diag(self, X: ndarray) -> ndarray:
        """Return the likeness of every row with itself."""
        terms = X.reshape(len(X), self.niches, -1)[:, :, 0].sum(axis=1)
        return (self.knowledge + self.term) * terms + self.pair * terms**2

    def __call__(self, X: ndarray, Y: ndarray | None = None, eval_gradient: bool = False) -> Any:
        """Return the likeness of every row of X with every row of Y; its slope by `theta` too if asked."""
        one = X.reshape(len(X), self.niches, -1)
        other = one if Y is None else Y.reshape(len(Y), self.niches, -1)
        shape = len(one), len(other)
        shared, alike = np.zeros(shape), np.zeros(shape)
        slopes = {name: np.zeros(shape) for name in ("direction", "parts", "decades")}
        for niche in range(self.niches):
            i, j = np.flatnonzero(one[:, niche, 0]), np.flatnonzero(other[:, niche, 0])
            gaps = self._gaps(one[i, niche], other[j, niche])
            likeness, where = np.exp(-0.5 * sum(gaps.values())), np.ix_(i, j)
            shared[where] += 1
            alike[where] += likeness
            for name, gap in gaps.items():
                slopes[name][where] += likeness * gap
        value = self.knowledge * shared + self.term * alike + self.pair * alike**2
        if not eval_gradient:
            return value
        inner = self.term + 2 * self.pair * alike
        by_scale = [inner * slopes[name] for name in ("direction", "parts", "decades")]
        return value, np.stack([self.knowledge * shared, self.term * alike, self.pair * alike**2, *by_scale], axis=2)

    def _gaps(self, one: ndarray, other: ndarray) -> dict[str, ndarray]:
        """Return the squared distances of the terms of one knowledge, in length scales."""
        start, end = 2, 2 + self.width
        return {
            "direction": _squared(one[:, start:end], other[:, start:end]) / self.direction**2,
            "parts": _squared(one[:, end:], other[:, end:]) / self.parts**2,
            "decades": _squared(one[:, 1:2], other[:, 1:2]) / self.decades**2,
        }


def _squared(one: ndarray, other: ndarray) -> ndarray:
    found = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.maximum(found, 0.0)


_DEFAULT = _fresh_kernel(1).theta
