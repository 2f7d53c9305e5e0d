"""The likeness of two distillers, for a Gaussian process: a kernel on sums of terms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.gaussian_process.kernels import Kernel

BOUNDS = {
    "knowledge": (1e-3, 10.0),
    "term": (1e-2, 10.0),
    "pair": (1e-4, 10.0),
    "direction": (0.1, 10.0),
    "parts": (0.3, 30.0),
    "decades": (0.2, 10.0),
}
"""What a fit chooses, and between which limits."""


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
