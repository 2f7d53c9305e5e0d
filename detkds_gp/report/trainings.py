"""The page of full trainings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from detkds_gp.gain import Interval
from detkds_gp.report.page import render
from detkds_gp.report.run import Pictures
from detkds_gp.report.students import Student, both_known, curve_figures, mean_gain, told_metrics

NO_PICTURES = "No pictures: the best student and the student alone are not trained on a common seed yet."


@dataclass(frozen=True)
class Row:
    """A student against the student alone.

    Attributes:
        student: as trained.
        pairs: seeds on which both are trained.
        gain: mean difference of test APs over them, with its 95% interval from two pairs on; None without one.
        gap: share of the way from the student alone to the teacher; None where there is none.
    """

    student: Student
    pairs: int = 0
    gain: Interval | None = None
    gap: float | None = None


def render_trainings(
    name: str, metric: str, students: Sequence[Student], pictures: Sequence[Pictures], seed: int | None
) -> str:
    """Return the page.

    Args:
        name: of the folder.
        metric: ``bbox`` or ``segm``.
        students: teacher first, as far as there is one.
        pictures: what they find.
        seed: of the students whose pictures are shown.
    """
    return render(
        "trainings.html.j2", curve_figures(students), served="", folder=name, metric=metric, students=students,
        rows=[_row(one, students) for one in students], metrics=told_metrics(students), pictures=pictures,
        watched="one seed of each" if seed is None else f"seed {seed}", no_pictures=NO_PICTURES,
    )  # fmt: skip


def _row(one: Student, students: Sequence[Student]) -> Row:
    alone = next((other for other in students if other.sort == "alone"), None)
    teacher = next((other.ap for other in students if other.sort == "teacher"), None)
    if alone is None or one.sort not in ("winner", "other"):
        return Row(one)
    pairs = both_known(one.aps.values(), map(alone.aps.get, one.aps))
    if (gain := mean_gain(pairs)) is None:
        return Row(one)
    room = (teacher or 0.0) - fmean(theirs for _, theirs in pairs)
    return Row(one, len(pairs), gain, gain.mean / room if room > 0 else None)
