"""One candidate in training, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from detkds_gp.detectors import BaseDetector
from detkds_gp.losses import KnowledgeError
from detkds_gp.score import Score
from detkds_gp.training import Training, TrainingFault
from detkds_gp.training.distilled_detector import Said

Aps = tuple[float, float | None]
"""AP on selection and, if asked for, on test."""


class Candidate:
    """A training that ends in a score: what goes wrong in it has a name, never an AP.

    Args:
        training: fresh, or taken up again.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        self._failure: tuple[str, str] | None = None
        self._aps: Aps | None = None

    @property
    def failed(self) -> bool:
        """Whether it has gone wrong."""
        return self._failure is not None

    def step(self, iteration: int, batch: dict[str, Any], said: Said | None) -> None:
        """Take a step, unless it was taken before or the training has failed."""
        if not self.failed and self.training.iteration == iteration:
            with self._naming_failures():
                self.training.step(batch, said if self.training.model.pairing is not None else None)

    def finish(self, keep: Callable[[Training], None], evaluate: Callable[[BaseDetector], Aps]) -> None:
        """Let a training that has not failed be kept, and its student be scored."""
        if not self.failed:
            with self._naming_failures():
                self.training.check_weights()
                keep(self.training)
                self._aps = evaluate(self.training.student)

    def score(self, wall_seconds: float) -> Score:
        """Return its score; call `finish` before."""
        if self._failure is not None:
            return Score.failed(*self._failure, wall_seconds)
        assert self._aps is not None, "finish() runs first"
        return Score(*self._aps, wall_seconds=wall_seconds)

    @contextmanager
    def _naming_failures(self) -> Iterator[None]:
        try:
            yield
        except TrainingFault as fault:
            self._failure = fault.failure, fault.detail
        except KnowledgeError as error:
            self._failure = "shape", str(error)
        except FloatingPointError as error:
            self._failure = "nonfinite", str(error)
