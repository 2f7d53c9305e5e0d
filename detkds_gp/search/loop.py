"""The loop between a strategy and what evaluates its candidates: searches and replays both run it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
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
        """Act when the strategy was told and has made what follows; ``records`` are new in its logbook, one a niche."""


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
    undecided: Sequence[Candidate] = ()
    told: Sequence[Candidate] = ()
    logged = 0
    with ExitStack() as closing:
        while True:
            while len(at_work) <= ahead and not (at_work and _begins_a_stage(strategy, at_work[-1])):
                if undecided:
                    observer.goes_on(strategy, undecided)
                candidates, undecided = strategy.ask(), ()
                if told:  # with what the strategy noted while it made the next candidates
                    logged, told = _tell(observer, strategy, told, logged), ()
                if not candidates:
                    break
                observer.asked(candidates)
                at_work.append(_Generation(candidates, _in_turns(evaluate(candidates))))
                closing.callback(at_work[-1].scoring.close)
                undecided = candidates
            if told:
                logged, told = _tell(observer, strategy, told, logged), ()
            if not at_work:
                return strategy.best
            scores = _first_scored(at_work)
            told = at_work.popleft().candidates
            observer.answered(strategy, told)
            strategy.tell(scores)


def _tell(observer: Observer, strategy: Strategy, candidates: Sequence[Candidate], logged: int) -> int:
    """Tell an observer what the strategy was told; return how long its logbook is now."""
    observer.told(strategy, candidates, [dict(record) for record in strategy.logbook[logged:]])
    return len(strategy.logbook)


def _in_turns(found: Turns[Sequence[Score]] | Sequence[Score]) -> Turns[Sequence[Score]]:
    return (yield from found) if isinstance(found, Generator) else found


def _begins_a_stage(strategy: Strategy, last: _Generation) -> bool:
    planned = strategy.plan()
    return not planned or planned[0].stage != last.candidates[0].stage


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
