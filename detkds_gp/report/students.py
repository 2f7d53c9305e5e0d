"""Trained students as a page compares them: APs by seed and pair by pair, AP50 and its like, classes, curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from detkds_gp.gain import Interval, paired_gain
from detkds_gp.language import NONE
from detkds_gp.report.figures import Figure, layout, short
from detkds_gp.report.run import JudgedCandidate, Run
from detkds_gp.score import TEACHER, Details, Trial

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


def judged_students(run: Run) -> list[Student]:
    """Return teacher, winner, student alone and the other finalists; nothing before the final round has begun."""
    if not run.finalists:
        return []
    winner = run.winner.candidate.text if run.winner and run.won else None
    first = [one for one in run.finalists if one.candidate.text == winner]
    others = [one for one in run.by_selection if one not in first]
    ap = run.references.teacher_test
    told = [run.details[TEACHER]] if TEACHER in run.details else []
    return [
        *([] if ap is None else [student("teacher", "teacher", {-1: ap}, told)]),
        *(_student(run, f"winner: {_named(one)}", "winner", one.candidate.text, one.test_aps) for one in first),
        _student(run, "student alone", "alone", NONE, run.references.alone_test),
        *(_student(run, _named(one), "other", one.candidate.text, one.test_aps) for one in others),
    ]


def _named(one: JudgedCandidate) -> str:
    return one.role.replace("_", " ")


def _student(run: Run, name: str, sort: str, text: str, aps: Sequence[float | None]) -> Student:
    trials = [Trial(text, run.length, seed, test=True) for seed in run.seeds]
    told = [run.details[trial] for trial in trials if trial in run.details]
    return student(name, sort, dict(zip(run.seeds, aps, strict=False)), told)


def both_known(ours: Iterable[float | None], theirs: Iterable[float | None]) -> list[tuple[float, float]]:
    """Return the pairs of APs of which neither is missing."""
    return [(a, b) for a, b in zip(ours, theirs, strict=False) if a is not None and b is not None]


def mean_gain(pairs: Sequence[tuple[float, float]]) -> Interval | None:
    """Return the mean difference of pairs with its interval, which a single pair gives no width; None without one."""
    if len(pairs) > 1:
        return paired_gain(*map(list, zip(*pairs, strict=True)))
    differences = [ours - theirs for ours, theirs in pairs]
    return Interval(differences[0], differences[0], differences[0]) if pairs else None


def curve_figures(students: Sequence[Student]) -> dict[str, Figure]:
    """Draw AP and losses against steps, as far as they are recorded; whom the page is about comes last, on top."""
    drawn = sorted(students, key=lambda one: list(COLOURS).index(one.sort))
    figures = {}
    seen = [one for one in drawn if len(one.curve) > 1]
    if seen:
        lines = [_line(one, one.curve, 1, one.name) for one in seen]
        # The others share one entry of the legend; a pointer still tells who each is.
        others = [line for one, line in zip(seen, lines, strict=True) if one.sort == "other"]
        for line in others:
            line |= {"name": "others", "legendgroup": "others", "showlegend": line is others[0]}
        figures["curves"] = {"data": lines, "layout": layout("training steps", "AP, selection")}
    shown = [one for one in drawn if one.losses and one.sort in ("alone", "winner")] or [o for o in drawn if o.losses]
    lines = [_line(one, one.losses, 1, f"{one.name}: own loss") for one in shown]
    for one in shown:
        if any(distilled > 1e-4 * max(own, 1e-9) for _, own, distilled in one.losses):
            lines.append(_line(one, one.losses, 2, f"{one.name}: distillation", "dot"))
    if lines:
        axes = layout("training steps", "loss")
        axes["yaxis"]["type"] = "log"
        figures["losses"] = {"data": lines, "layout": axes}
    return figures


def _line(one: Student, rows: Sequence[Sequence[Any]], column: int, name: str, dash: str = "solid") -> Figure:
    width = 1.5 if one.sort == "other" else 3
    return {
        "name": short(name, 60), "mode": "lines+markers" if rows is one.curve else "lines",
        "x": [row[0] for row in rows], "y": [row[column] for row in rows],
        "line": {"width": width, "color": COLOURS[one.sort], "dash": dash}, "marker": {"size": 6},
        "hovertemplate": f"{short(name, 60)}: %{{y:.4g}} after %{{x}} steps<extra></extra>",
    }  # fmt: skip


def told_metrics(students: Sequence[Student]) -> dict[str, str]:
    """Return the columns of the table: those of `METRICS` of which someone tells something."""
    return {key: title for key, title in METRICS.items() if any(one.metrics.get(key) is not None for one in students)}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
