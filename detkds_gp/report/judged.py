"""The students of a final round, as a page compares them."""

from __future__ import annotations

from collections.abc import Sequence

from detkds_gp.language import NONE
from detkds_gp.report.run import JudgedCandidate, Run
from detkds_gp.report.students import Student, student
from detkds_gp.score import TEACHER, Trial


def judged_students(run: Run) -> list[Student]:
    """Return teacher, winner, student alone and the other finalists; nothing before the final round has begun."""
    if not run.finalists:
        return []
    winner = run.winner.candidate.text if run.winner and run.won else None
    first = [one for one in run.finalists if one.candidate.text == winner]
    others = sorted((one for one in run.finalists if one not in first), key=lambda one: -(one.selection_mean or -1.0))
    return [
        *_teacher(run),
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


def _teacher(run: Run) -> list[Student]:
    ap = run.references.teacher_test
    told = [run.details[TEACHER]] if TEACHER in run.details else []
    return [] if ap is None else [student("teacher", "teacher", {-1: ap}, told)]
