"""How long a training will take, learnt from those that were answered."""

from __future__ import annotations

from detkds_gp.language import Distiller
from detkds_gp.score import Score, Trial


class Forecast:
    """Fits seconds per iteration = base + slope * operations, by least squares over what was answered.

    Failures do not count: they end early. Only the order in which tasks are handed out depends on it,
    never a result.
    """

    def __init__(self) -> None:
        self._n = 0
        self._x = self._y = self._xx = self._xy = 0.0

    def learn(self, trial: Trial, distiller: Distiller, score: Score) -> None:
        """Take an answer into account."""
        if score.ok and score.wall_seconds > 0 and trial.iterations > 0:
            x, y = float(distiller.cost), score.wall_seconds / trial.iterations
            self._n += 1
            self._x, self._y = self._x + x, self._y + y
            self._xx, self._xy = self._xx + x * x, self._xy + x * y

    def seconds(self, trial: Trial, distiller: Distiller) -> float:
        """Predict; before the first answers a step costs 1 and an operation a hundredth of it."""
        return trial.iterations * self._per_iteration(float(distiller.cost))

    def _per_iteration(self, operations: float) -> float:
        spread = self._n * self._xx - self._x * self._x
        if self._n < 3 or spread <= 0:
            return 1 + operations / 100
        slope = max(0.0, (self._n * self._xy - self._x * self._y) / spread)
        mean_x, mean_y = self._x / self._n, self._y / self._n
        return max(0.0, mean_y - slope * mean_x) + slope * operations
