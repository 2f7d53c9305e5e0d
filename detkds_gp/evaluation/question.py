"""Questions about candidates, and what answers them. Evaluators wrap each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from detkds_gp.language import Distiller
from detkds_gp.score import Score, Trial
from detkds_gp.search import Candidate


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

    def scores(self, phase: str, questions: Sequence[Question]) -> list[Score]:
        """Return the score of every question, in their order.

        Args:
            phase: what is going on, for whoever watches.
            questions: with distinct trials.
        """


def candidates_to(evaluator: Evaluator, trial: Callable[[str], Trial]) -> Callable[[Sequence[Candidate]], list[Score]]:
    """Return what asks an evaluator for the scores of a generation's candidates.

    Args:
        evaluator: asked.
        trial: the training that the text of a distiller stands for.
    """

    def evaluate(candidates: Sequence[Candidate]) -> list[Score]:
        questions = [Question(trial(one.distiller.text), one.distiller, one.niche) for one in candidates]
        return evaluator.scores(f"{candidates[0].stage} {candidates[0].generation}", questions)

    return evaluate
