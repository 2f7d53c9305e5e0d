"""Maps of two detectors brought together: levels by stride, the student's channels by adapters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..parts import AbsentError
from ._base import Side
from ._matching import matched, shapes
from ._shared import Level, Pairs, Shared, Step


@dataclass(frozen=True)
class SharedMaps(Shared):
    """Maps of both detectors level by level, the student's brought to the teacher's channels.

    Attributes:
        name: of the output, and of the knowledge: ``global``, or a module's path.
    """

    name: str = "global"

    @property
    def student_outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Outputs of the student that are needed."""
        return (self.name,)

    @property
    def teacher_outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Outputs of the teacher that are needed."""
        return (self.name,)

    @property
    def adapts(self) -> tuple[str, ...]:  # type: ignore[override]
        """Knowledge whose channels it needs brought to the teacher's."""
        return (self.name,)

    def pairs(self, step: Step) -> Pairs:
        """Return the maps of every matched level, adapted."""
        ours, theirs = step.student[self.name], step.teacher[self.name]
        pairs = [(ours[level.student], theirs[level.teacher]) for level in self.levels]
        return step.once(("maps", self.name), lambda: step.adapted(self.name, pairs))


def share_maps(student: Side, teacher: Side, name: str) -> SharedMaps:
    """Match the maps of an output, or what else it holds; the knowledge has the output's name.

    Raises:
        AbsentError: a side does not have them, or they cannot be compared.
    """
    ours, theirs = student.output(name), teacher.output(name)
    if {x.ndim for x in (*ours, *theirs)} == {4}:
        levels, notes = matched(student, teacher, name)
    elif [x.shape for x in ours] == [x.shape for x in theirs]:
        levels, notes = tuple(Level(0, index, index) for index in range(len(ours))), ()
    else:
        got = f"{_shapes_text(ours)} in the student, {_shapes_text(theirs)} in the teacher"
        raise AbsentError(f"it is {got}; only maps can be brought together")
    first, second = (
        shapes(outputs, [getattr(level, side) for level in levels])
        for outputs, side in ((ours, "student"), (theirs, "teacher"))
    )
    if first != second:
        notes = (*notes, "1x1 adapters to the teacher's channels")
    return SharedMaps(first, second, levels, notes, name)


def _shapes_text(levels: list[Tensor]) -> str:
    return " and ".join(str(tuple(x.shape)) for x in levels[:3])
