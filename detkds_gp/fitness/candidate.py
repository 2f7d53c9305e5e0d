"""One candidate in training, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from statistics import fmean
from typing import Any

from detkds_gp.detectors import BaseDetector, Outputs
from detkds_gp.losses import KnowledgeError
from detkds_gp.score import Details, Score
from detkds_gp.training import Training, TrainingFault

Evaluated = tuple[float, float | None, Details | None]
"""AP on selection and, if asked for, on test, with what else it tells."""

FAULTS = (TrainingFault, KnowledgeError, FloatingPointError)
"""What may go wrong with a training, and is no fault of ours."""

POINTS = 60
"""Rows of a training's losses at most."""


class Candidate:
    """A training that ends in a score: what goes wrong in it has a name, never an AP.

    Attributes:
        training: fresh, or taken up again.
        curve: (steps, AP on selection) at each `look`.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        self._failure: tuple[str, str] | None = None
        self._evaluated: Evaluated | None = None
        self.curve: list[tuple[int, float]] = []

    @property
    def failed(self) -> bool:
        """Whether it has gone wrong."""
        return self._failure is not None

    def step(self, iteration: int, batch: dict[str, Any], teacher: Outputs | None) -> None:
        """Take a step, unless it was taken before or the training has failed."""
        if not self.failed and self.training.iteration == iteration:
            with self._naming_failures():
                self.training.step(batch, teacher if self.training.model.pairing is not None else None)

    def look(self, evaluate: Callable[[BaseDetector], float]) -> None:
        """Score the student on its way; one that predicts no numbers there is judged at its end."""
        if not self.failed:
            with suppress(FloatingPointError):
                self.curve.append((self.training.iteration, evaluate(self.training.student)))

    def finish(self, keep: Callable[[Training], None], evaluate: Callable[[BaseDetector], Evaluated]) -> None:
        """Let a training that has not failed be kept, and its student be scored."""
        if not self.failed:
            with self._naming_failures():
                self.training.check_weights()
                keep(self.training)
                self._evaluated = evaluate(self.training.student)

    def score(self, wall_seconds: float) -> Score:
        """Return its score; call `finish` before."""
        if self._failure is not None:
            return Score.failed(*self._failure, wall_seconds)
        assert self._evaluated is not None, "finish() runs first"
        ap, test_ap, details = self._evaluated
        if details is not None:
            curve = (*self.curve, (self.training.iteration, ap)) if self.curve else ()
            details = replace(details, losses=tuple(averaged(self.training.losses, POINTS)), curve=curve)
        return Score(ap, test_ap, wall_seconds=wall_seconds, details=details)

    @contextmanager
    def _naming_failures(self) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            self._failure = named(error)


def named(error: Exception) -> tuple[str, str]:
    """Return the name of one of `FAULTS`, and what it says."""
    if isinstance(error, TrainingFault):
        return error.failure, error.detail
    return "shape" if isinstance(error, KnowledgeError) else "nonfinite", str(error)


def averaged(losses: Sequence[tuple[float, float]], most: int) -> Iterator[tuple[int, float, float]]:
    """Yield at most so many rows of losses, each the mean of the steps since the row before, after how many steps.

    >>> list(averaged([(4.0, 1.0), (2.0, 1.0), (1.0, 3.0)], 2))
    [(2, 3.0, 1.0), (3, 1.0, 3.0)]
    """
    size = max(1, -(-len(losses) // most))
    for begin in range(0, len(losses), size):
        part = losses[begin : begin + size]
        own, distilled = (fmean(row[side] for row in part) for side in (0, 1))
        yield begin + len(part), float(f"{own:.4g}"), float(f"{distilled:.4g}")
