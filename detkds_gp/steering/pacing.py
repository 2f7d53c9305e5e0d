"""The pace of a run, measured by its workers side by side before anything else, and recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from statistics import fmean

from detkds_gp.evaluation import EvaluationService
from detkds_gp.fitness import PaceRequest
from detkds_gp.score import Pace
from detkds_gp.store import Store
from detkds_gp.store.events import PACE


def recorded_pace(store: Store) -> Pace | None:
    """Return the pace that a run measured first; None before."""
    measured = store.events(PACE)
    return Pace(**measured[0].detail) if measured else None


def measured_pace(store: Store, evaluations: EvaluationService, workers: int, say: Callable[[str], None]) -> Pace:
    """Return the recorded pace, or let every worker measure it at the same time and record their mean."""
    known = recorded_pace(store)
    if known is not None:
        return known
    say("timing a few steps of student and teacher")
    paces: list[Pace] = [pace for _, pace in evaluations.prepared([PaceRequest()] * workers)]
    pace = Pace(**{name.name: fmean(getattr(one, name.name) for one in paces) for name in fields(Pace)})
    store.record_event(PACE, **vars(pace))
    return pace
