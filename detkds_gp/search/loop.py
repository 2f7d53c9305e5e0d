"""The loop between a strategy and what evaluates its candidates: searches and replays both run it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detkds_gp.score import Score
from detkds_gp.search.individual import Candidate, Individual
from detkds_gp.search.strategy import Strategy
from detkds_gp.turns import Turns, Wait


class Observer:
    """Follows a search and may steer it; every method may be overridden, none has to."""

    def begins(self, strategy: Strategy) -> None:
        """Act before the strategy makes the first candidates."""

    def asked(self, candidates: Sequence[Candidate]) -> None:
        """Act before candidates are evaluated."""

    def answered(self, strategy: Strategy, candidates: Sequence[Candidate]) -> None:
        """Act when all scores are known, and before the strategy is told."""

    def goes_on(self, strategy: Strategy, candidates: Sequence[Candidate]) -> None:
        """Act before the strategy makes what follows these candidates, the last ones that were asked."""

    def told(self, strategy: Strategy, candidates: Sequence[Candidate], records: Sequence[Mapping[str, Any]]) -> None:
        """Act when the strategy was told the scores; ``records`` are new in its logbook, one a niche."""


def run_search(
    strategy: Strategy,
    evaluate: Callable[[Sequence[Candidate]], Turns[Sequence[Score]] | Sequence[Score]],
    observer: Observer | None = None,
    ahead: int = 0,
) -> Individual | None:
    """Run a search to its end.

    Args:
        strategy: fresh.
        evaluate: returns the scores of candidates, in their order, or a computation that finds them.
        observer: follows it.
        ahead: generations of a stage that are asked besides the one that is told next, so that no worker waits for its
            last training. What is asked depends on this number, and not on who is done when.

    Returns:
        the best individual; None where nothing succeeded.
    """
    observer = observer or Observer()
    observer.begins(strategy)
    at_work: deque[_Generation] = deque()
    last: Sequence[Candidate] = ()
    decided = True
    try:
        while True:
            while len(at_work) <= ahead and not (at_work and _begins_a_stage(strategy, last)):
                if not decided:
                    observer.goes_on(strategy, last)
                    decided = True
                candidates = strategy.ask()
                if not candidates:
                    break
                observer.asked(candidates)
                at_work.append(_Generation(candidates, _in_turns(evaluate(candidates))))
                last, decided = candidates, False
            if not at_work:
                return strategy.best
            scores, logged = _first_scored(at_work), len(strategy.logbook)
            first = at_work.popleft().candidates
            observer.answered(strategy, first)
            strategy.tell(scores)
            observer.told(strategy, first, [dict(record) for record in strategy.logbook[logged:]])
    finally:
        for generation in at_work:
            generation.scoring.close()


def _in_turns(found: Turns[Sequence[Score]] | Sequence[Score]) -> Turns[Sequence[Score]]:
    return (yield from found) if isinstance(found, Generator) else found


def _begins_a_stage(strategy: Strategy, last: Sequence[Candidate]) -> bool:
    planned = strategy.plan()
    return not planned or planned[0].stage != last[0].stage


@dataclass
class _Generation:
    """Candidates, and what finds their scores: None as long as they are not known."""

    candidates: Sequence[Candidate]
    scoring: Turns[Sequence[Score]]
    scores: Sequence[Score] | None = None


def _first_scored(at_work: Sequence[_Generation]) -> Sequence[Score]:
    """Let generations go on in turns until the first one is scored; return its scores."""
    while True:
        waits: list[Wait] = []
        for generation in at_work:
            if generation.scores is None:
                try:
                    waits.append(next(generation.scoring))
                except StopIteration as end:
                    generation.scores = end.value
            if at_work[0].scores is not None:
                return at_work[0].scores
        waits[0]()
