"""The loop between a strategy and what evaluates its candidates: searches and replays both run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from detkds_gp.score import Score
from detkds_gp.search.individual import Candidate, Individual
from detkds_gp.search.strategy import Strategy


class Observer:
    """Follows a search and may steer it; every method may be overridden, none has to."""

    def begins(self, strategy: Strategy) -> None:
        """Act before the first candidates are made."""

    def asked(self, candidates: Sequence[Candidate]) -> None:
        """Act before candidates are evaluated."""

    def answered(self, strategy: Strategy, candidates: Sequence[Candidate]) -> None:
        """Act when all scores are known, and before the strategy is told."""

    def told(self, strategy: Strategy, candidates: Sequence[Candidate], records: Sequence[Mapping[str, Any]]) -> None:
        """Act when the strategy has made its next candidates; ``records`` are new in its logbook, one a niche."""


def run_search(
    strategy: Strategy, evaluate: Callable[[Sequence[Candidate]], Sequence[Score]], observer: Observer | None = None
) -> Individual | None:
    """Run a search to its end.

    Args:
        strategy: fresh.
        evaluate: returns the scores of candidates, in their order.
        observer: follows it.

    Returns:
        the best individual; None where nothing succeeded.
    """
    observer = observer or Observer()
    observer.begins(strategy)
    while candidates := strategy.ask():
        observer.asked(candidates)
        scores, logged = evaluate(candidates), len(strategy.logbook)
        observer.answered(strategy, candidates)
        strategy.tell(scores)
        observer.told(strategy, candidates, [dict(record) for record in strategy.logbook[logged:]])
    return strategy.best
