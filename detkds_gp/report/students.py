"""Trained students as a page compares them: APs by seed, AP50 and its like, classes, curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from detkds_gp.report.figures import Figure, short
from detkds_gp.score import Details

METRICS = {"ap50": "AP50", "ap75": "AP75", "small": "small", "medium": "medium", "large": "large"}
"""Columns of the table, by the name of the metric."""

COLOURS = {"other": "muted", "teacher": "teacher", "alone": "alone", "winner": "accent"}
"""The page's colour of each sort of student, in the order drawn."""


@dataclass(frozen=True)
class Student:
    """One way of training the student, or the teacher.

    Attributes:
        name: what it is called.
        sort: ``alone``, ``winner``, ``teacher`` or ``other``.
        aps: on the test split by seed, None where a training failed; the teacher's stands under seed -1.
        metrics: means over seeds by the names of `METRICS`; None of what no seed tells.
        classes: mean AP by class.
        losses: of one seed: (steps, the student's own loss, the distillation loss).
        curve: of one seed: (steps, AP on the selection split).
    """

    name: str
    sort: str
    aps: Mapping[int, float | None]
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    classes: Mapping[str, float | None] = field(default_factory=dict)
    losses: Sequence[tuple[int, float, float]] = ()
    curve: Sequence[tuple[int, float]] = ()

    @property
    def ap(self) -> float | None:
        """The mean AP of the seeds that succeeded."""
        return _mean(self.aps.values())


def student(name: str, sort: str, aps: Mapping[int, float | None], told: Sequence[Details]) -> Student:
    """Put together what the trainings of one student tell, in the order of seeds."""
    metrics = {key: _mean(details.metrics.get(key) for details in told) for key in METRICS}
    names = dict.fromkeys(name for details in told for name in details.classes)
    classes = {one: _mean(details.classes.get(one) for details in told) for one in names}
    watched = next((details for details in told if details.curve), next(iter(told), Details()))
    return Student(name, sort, aps, metrics, classes, watched.losses, watched.curve)


def curve_figures(students: Sequence[Student]) -> dict[str, Figure]:
    """Draw AP and losses against steps, as far as they are recorded; whom the page is about comes last, on top."""
    drawn = sorted(students, key=lambda one: list(COLOURS).index(one.sort))
    figures = {}
    seen = [one for one in drawn if len(one.curve) > 1]
    if seen:
        first = next((one for one in seen if one.sort == "other"), None)
        lines = [_line(one, one.curve, 1, one.name) | _legend(one, first) for one in seen]
        figures["curves"] = _figure(lines, {"title": "AP, selection"})
    shown = [one for one in drawn if one.losses and one.sort in ("alone", "winner")] or [o for o in drawn if o.losses]
    lines = [_line(one, one.losses, 1, f"{one.name}: own loss") for one in shown]
    lines += [_line(one, one.losses, 2, f"{one.name}: distillation", "dot") for one in shown if _distils(one)]
    if lines:
        figures["losses"] = _figure(lines, {"title": "loss", "type": "log"})
    return figures


def _legend(one: Student, first: Student | None) -> Figure:
    """Let the others share one entry of the legend; a pointer still tells who each is."""
    if one.sort != "other":
        return {}
    return {"name": "others", "legendgroup": "others", "showlegend": one is first}


def _distils(one: Student) -> bool:
    return any(distilled > 1e-4 * max(own, 1e-9) for _, own, distilled in one.losses)


def _line(one: Student, rows: Sequence[Sequence[Any]], column: int, name: str, dash: str = "solid") -> Figure:
    width = 1.5 if one.sort == "other" else 3
    return {
        "name": short(name, 60), "mode": "lines+markers" if rows is one.curve else "lines",
        "x": [row[0] for row in rows], "y": [row[column] for row in rows],
        "line": {"width": width, "color": COLOURS[one.sort], "dash": dash}, "marker": {"size": 6},
        "hovertemplate": f"{short(name, 60)}: %{{y:.4g}} after %{{x}} steps<extra></extra>",
    }  # fmt: skip


def _figure(lines: list[Figure], axis: Figure) -> Figure:
    return {"data": lines, "layout": {"xaxis": {"title": "training steps"}, "yaxis": axis}}


def told_metrics(students: Sequence[Student]) -> dict[str, str]:
    """Return the columns of the table: those of `METRICS` of which someone tells something."""
    return {key: title for key, title in METRICS.items() if any(one.metrics.get(key) is not None for one in students)}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
