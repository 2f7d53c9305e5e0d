"""Allowances: whether a training may still begin, and when all that is at work is abandoned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detkds_gp.score import NOT_BEGUN, Score, Trial


@dataclass(frozen=True)
class Allowance:
    """What is asked while trainings are handed out.

    Attributes:
        begin: asked with the trainings that a worker takes next; False: nothing further is begun.
        over: True: what is at work is abandoned.
        heard: told every new answer, after it is recorded.
        lost: told of the trainings of a worker that was killed, or hit the time limit; each may be begun once more.
    """

    begin: Callable[[Sequence[Trial]], bool] = lambda trials: True
    over: Callable[[], bool] = lambda: False
    heard: Callable[[Trial, Score], None] = lambda trial, score: None
    lost: Callable[[Sequence[Trial]], None] = lambda trials: None


UNLIMITED = Allowance()


def not_begun() -> Score:
    """Make the score of a candidate that the budget left no time for."""
    return Score.failed(NOT_BEGUN, "what has to follow needs the rest of the budget")
