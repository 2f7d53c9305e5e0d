"""The rows of the store, as values for reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detkds_gp.score import Scale, Score, Screening, Trial

FIRST = -1
"""The number of the decision before the first generation."""


@dataclass(frozen=True)
class ScoreRecord:
    """One answered trial.

    Attributes:
        trial: what was asked.
        score: what came out.
        resolved: the distiller's text as trained, every ``calibrated`` replaced by its number.
        finished_at: Unix time in seconds.
        extra: whether it was asked beside the search, and is no cost of it.
    """

    trial: Trial
    score: Score
    resolved: str
    finished_at: float
    extra: bool = False


@dataclass(frozen=True)
class ScaleRecord:
    """The calibrated scale of one tree, by the tree's text; ``extra`` as of a score."""

    tree: str
    scale: Scale
    extra: bool = False


@dataclass(frozen=True)
class ScreeningRecord:
    """What screening said of one tree, by the tree's text."""

    tree: str
    screening: Screening


@dataclass(frozen=True)
class Birth:
    """Where a distiller came from.

    Attributes:
        text: the distiller's canonical text.
        stage: the stage of the search that made it.
        niche: its knowledge, or what the stage calls its population.
        generation: number within the stage.
        parents: texts of the distillers it was made from; empty for a random or given one.
    """

    text: str
    stage: str
    niche: str
    generation: int
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Merge:
    """The tree ``other`` was found to be the same loss as the tree ``canonical``, up to a positive factor."""

    other: str
    canonical: str


@dataclass(frozen=True)
class Generation:
    """One generation's counts and statistics, by name."""

    stage: str
    number: int
    counts: Mapping[str, Any]
    statistics: Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """Something that happened to the run.

    Attributes:
        time: Unix time in seconds.
        kind: one of `detkds_gp.store.events`.
        detail: named JSON values.
        extra: whether it belongs to what was asked beside the search.
    """

    time: float
    kind: str
    detail: Mapping[str, Any]
    extra: bool = False


@dataclass(frozen=True)
class Costs:
    """What the search has spent so far, extra answers left out.

    Attributes:
        trainings: of students, answered; those that a budget left no time for are not.
        wall_seconds: of all trainings and calibrations, summed over workers.
        last: Unix time of the last answer; None before the first.
    """

    trainings: int
    wall_seconds: float
    last: float | None
