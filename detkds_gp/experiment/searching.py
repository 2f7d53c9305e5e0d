"""The loop between search, steering, answers and store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from detkds_gp.experiment.evaluation import Scored
from detkds_gp.experiment.listener import Listener
from detkds_gp.experiment.steering import Decision, is_last
from detkds_gp.score import Trial
from detkds_gp.search import Candidate, Search
from detkds_gp.store import Store

Decide = Callable[[str, int, bool], Decision]


def run_generations(
    search: Search, store: Store, trial: Callable[[str], Trial], scored: Scored, decide: Decide, listener: Listener
) -> None:
    """Run a search to its end; every birth and every generation is recorded.

    Args:
        search: fresh.
        store: open for writing.
        trial: the question that a distiller's text asks.
        scored: answers the questions of a generation, in the order asked.
        decide: what happens besides, from (stage, number, whether it is the last planned).
        listener: hears of every generation.
    """
    while candidates := search.ask():
        stage, number = candidates[0].stage, candidates[0].generation
        _record_births(store, candidates)
        logged = len(search.logbook)
        asked = [(trial(c.distiller.text), c.distiller, c.niche) for c in candidates]
        scores = scored(f"{stage} {number}", asked)
        decide(stage, number, is_last(search, stage, number)).apply(search)
        search.tell(scores)
        records = [dict(record) for record in search.logbook[logged:]]
        listener.generation(records)
        store.record_generation(stage, number, search.counts, {"niches": records})


def _record_births(store: Store, candidates: Sequence[Candidate]) -> None:
    """Record a generation's births with one commit: there may be a thousand."""
    with store.together():
        for c in candidates:
            store.record_birth(c.distiller.text, c.stage, c.niche, c.generation, c.parents)
