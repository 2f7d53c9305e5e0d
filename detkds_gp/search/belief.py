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
from detkds_gp.search.terms_kernel import TermsKernel

STEPS = 12
"""Of the optimiser in one fit; the next fit goes on from there."""

GROWTH = 1.2
"""Times as many scores as at the last fit, before the length scales are fitted again."""

WINDOW = 1500
"""Scores that are learned from, at most: the last ones."""

Directions: TypeAlias = Callable[[str], Sequence[float] | None]
"""Gives the direction of a formula, `DIRECTION` numbers; None where it has none."""

_JITTER = 1e-9


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


_DEFAULT = _fresh_kernel(1).theta


def _improved(objective: Callable[..., Any], start: ndarray, bounds: ndarray) -> tuple[ndarray, float]:
    """Return parameters of higher posterior than those at the start, and the negative logarithm of it there.

    A few scores alone would drive them to their bounds: each is taken to be within a factor of e of its default.
    """

    def posterior(theta: ndarray) -> tuple[float, ndarray]:
        value, slope = objective(theta)
        return value + 0.5 * float(((theta - _DEFAULT) ** 2).sum()), slope + theta - _DEFAULT

    found = minimize(posterior, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    return found.x, found.fun
