"""AP over the weight of a loss: a Gaussian process on the logarithm of the weight, with the noise of trainings."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log10
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from detkds_gp.search import rounded

LEAST = 3
"""Trainings from which the process fits its own smoothness and noise; before it keeps the first guess."""

FINE = 24
"""Weights a decade among which the best is chosen."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """The AP that is expected at a weight, with the 95% interval of what is not known of it.

    Attributes:
        weight: in calibrated units.
        ap: expected of a training, its noise averaged out.
        measured: by a training there; None where none was made or it failed.
    """

    weight: float
    ap: float
    low: float
    high: float
    measured: float | None = None


class Curve:
    """What trainings at some weights say of all weights between them.

    A training that failed counts as the worst AP of the others: the process shall keep away from there.

    Args:
        aps: by weight; None where the training failed. At least one succeeded.

    Raises:
        ValueError: if none did.
    """

    def __init__(self, aps: Mapping[float, float | None]) -> None:
        known = [ap for ap in aps.values() if ap is not None]
        if not known:
            raise ValueError("got no AP, wanted one or more to draw a curve")
        self.aps = dict(sorted(aps.items()))
        told = np.array([min(known) if ap is None else ap for ap in self.aps.values()])
        self._mean, self._spread = float(told.mean()), max(float(told.std()), 1e-4)
        self._process = self._fitted(_logs(list(self.aps)), (told - self._mean) / self._spread)

    @staticmethod
    def _fitted(logs: Floats, told: Floats) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        smooth = Matern(length_scale=1.0, length_scale_bounds=(0.4, 3.0), nu=2.5)
        kernel = ConstantKernel(1.0, (0.2, 10.0)) * smooth + WhiteKernel(0.1, (0.01, 1.0))
        optimizer = "fmin_l_bfgs_b" if len(told) >= LEAST else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a bound that is reached is no fault
            return GaussianProcessRegressor(kernel, optimizer=optimizer).fit(logs, told)

    def at(self, weights: Sequence[float]) -> list[Point]:
        """Return the expected AP at some weights."""
        mean, deviation = self._expected(weights)
        told = zip(weights, mean, 1.96 * deviation, strict=True)
        return [Point(w, float(m), float(m - d), float(m + d), self.aps.get(w)) for w, m, d in told]

    @cached_property
    def best(self) -> float:
        """The weight with the highest expected AP, between those that were trained."""
        lowest, highest = (log10(weight) for weight in (min(self.aps), max(self.aps)))
        count = max(2, round(FINE * (highest - lowest)) + 1)
        grid = [10 ** float(x) for x in np.linspace(lowest, highest, count)]
        mean, _ = self._expected(grid)
        return min(max(rounded(grid[int(np.argmax(mean))]), min(self.aps)), max(self.aps))

    def improvement(self, weights: Sequence[float]) -> Floats:
        """Return the expected improvement of each weight over the best one trained, noise left out of both."""
        mean, deviation = self._expected(weights)
        best = self._expected(list(self.aps))[0].max()
        deviation = np.maximum(deviation, 1e-9)
        ahead = (mean - best) / deviation
        return np.asarray((mean - best) * norm.cdf(ahead) + deviation * norm.pdf(ahead))

    def _expected(self, weights: Sequence[float]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the AP without the noise of a training."""
        mean, deviation = self._process.predict(_logs(weights), return_std=True)
        noise = self._process.kernel_.k2.noise_level
        latent = np.sqrt(np.maximum(deviation**2 - noise, 0.0))
        return mean * self._spread + self._mean, latent * self._spread


def _logs(weights: Sequence[float]) -> Floats:
    return np.log10(np.asarray(weights, dtype=float)).reshape(-1, 1)
