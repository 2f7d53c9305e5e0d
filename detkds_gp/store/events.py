"""What events are called; each kind says something that nothing else in the store does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detkds_gp.score import Details, Trial
from detkds_gp.store.records import Event

STARTED = "started"
"""A session of the search begins: its config, command and machine."""
NAMED = "named"
"""What a config called its warm start and its rivals before they were formulas."""
REFUSED = "refused"
"""A session ended at once, because its budget holds no search; its time does not count."""
PACE = "pace"
"""What a training step and an evaluation cost, measured before anything else."""
SEARCH_PLANNED = "search planned"
"""The generations of the search as the settings plan them, and what was spent of a budget before; once."""
PLANNED = "planned"
"""What is still to be done, its sizes, and the seconds at work until its end."""
WORKED = "worked"
"""How long workers were held and busy for a phase."""
STOPPED = "stopped"
"""A session ended early, and why."""
NOISE = "noise of scores"
"""What a difference of scores is worth, in words, as far as scores are known."""
FINISHED = "finished"
"""Everything is searched and judged."""
FINAL_PLANNED = "final round planned"
"""The seeds, the length and the places of the final round."""
TUNING_PLANNED = "tuning planned"
"""By how many trainings the weight of each rival is tuned."""
RIVALS_TUNED = "rivals tuned"
"""Each rival as it came and at the weight that was found for it, before the search."""
FINAL_RACED = "final round race"
"""Who races for the final round, on which seeds and for how long."""
FINAL_HELD = "final round"
"""Who is judged in the final round, on which seeds and for how long; after a race, who dropped out and when."""
CURVE = "learning curve"
"""Where the student alone, or a teacher that was trained, stood on the way: ``role`` and ``points``."""
MEASURED = "measured"
"""What a training tells besides its AP: the ``trial`` and the values of its `Details`."""
FINAL_CUT = "final round cut"
"""The seeds and the finalists of the final round that count, because the budget ended before the others."""
EXPLAINING = "explaining"
"""Extra trainings for an explanation begin."""
EXPLAINED = "explained"
"""Which parts of the winner were removed, and which pictures were painted."""


def curves(events: Iterable[Event]) -> dict[str, list[tuple[int, float]]]:
    """Return by role the (iterations, AP on selection) of the learning curves that are recorded."""
    told = (event.detail for event in events if event.kind == CURVE)
    return {detail["role"]: [(n, ap) for n, ap in detail["points"]] for detail in told}


def details(events: Iterable[Event]) -> dict[Trial, Details]:
    """Return what trainings tell besides their AP, by what was asked."""
    told = (event.detail for event in events if event.kind == MEASURED)
    return {Trial(**detail["trial"]): Details.from_json(detail) for detail in told}


def explaining(events: Sequence[Event]) -> bool:
    """Return whether the last session explains the winner and has not said that it is done."""
    told = [event.kind for event in events if event.kind != MEASURED]
    return told[-1:] == [EXPLAINING]
