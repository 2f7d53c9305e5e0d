"""Questions about candidates, what answers them, and what limits it. Evaluators wrap each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from detkds_gp.language import Distiller
from detkds_gp.score import Score, Trial
from detkds_gp.search import Candidate
from detkds_gp.turns import Turns


@dataclass(frozen=True)
class Question:
    """A training whose score is wanted.

    Attributes:
        trial: the training.
        distiller: of the trial; its scales may be missing.
        niche: what it is compared with: its knowledge, the mixes, or a role.
    """

    trial: Trial
    distiller: Distiller
    niche: str

    def shortened(self, iterations: int) -> Question:
        """Return the question about a shorter training."""
        return replace(self, trial=replace(self.trial, iterations=iterations))


class Evaluator(Protocol):
    """Answers questions: by training, from a record, or by asking another evaluator."""

    def scoring(self, phase: str, questions: Sequence[Question]) -> Turns[list[Score]]:
        """Find the score of every question, in their order; others may be asked meanwhile.

        Args:
            phase: what is going on, for whoever watches.
            questions: with distinct trials.
        """


@dataclass(frozen=True)
class Allowance:
    """Whether a training may still begin, and when all that is at work is abandoned.

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


def candidates_to(
    evaluator: Evaluator, trial: Callable[[str], Trial]
) -> Callable[[Sequence[Candidate]], Turns[list[Score]]]:
    """Return what asks an evaluator for a generation's scores; ``trial`` is the training that a text stands for."""

    def evaluate(candidates: Sequence[Candidate]) -> Turns[list[Score]]:
        questions = [Question(trial(one.distiller.text), one.distiller, one.niche) for one in candidates]
        return evaluator.scoring(f"{candidates[0].stage} {candidates[0].generation}", questions)

    return evaluate
