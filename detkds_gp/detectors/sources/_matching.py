"""How two detectors are matched: levels by stride, classes by name, channels of maps by adapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..parts import AbsentError
from ._base import Side
from ._shared import Level, Pairs, Shared, Step


def matched(student: Side, teacher: Side, name: str) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """Match the levels of an output by stride; says which are left out.

    Raises:
        AbsentError: a side does not have it, no stride is common, or the maps of one stride differ in size.
    """
    ours, theirs = student.output(name), teacher.output(name)
    strides = student.strides[name], teacher.strides[name]
    if strides[0] == strides[1]:  # on a small image the coarsest levels may have one computed stride
        levels = tuple(Level(stride, index, index) for index, stride in enumerate(strides[0]))
    else:
        common = [stride for stride in strides[0] if strides[0].count(stride) == strides[1].count(stride) == 1]
        levels = tuple(Level(stride, strides[0].index(stride), strides[1].index(stride)) for stride in common)
    if not levels:
        raise AbsentError(f"the student's strides are {_listed(strides[0])}, the teacher's {_listed(strides[1])}")
    for level in levels:
        s, t = ours[level.student].shape[2:], theirs[level.teacher].shape[2:]
        if s != t:
            sizes = f"{s[0]}x{s[1]} in the student, {t[0]}x{t[1]} in the teacher"
            raise AbsentError(f"the map of stride {level.stride} is {sizes}")
    notes = []
    for who, own in zip(("student", "teacher"), strides, strict=True):
        rest = [stride for stride in own if stride not in [level.stride for level in levels]]
        if rest:
            notes.append(f"left out: the {who}'s strides {_listed(rest)}")
    return levels, tuple(notes)


def _listed(strides: Sequence[int]) -> str:
    return ", ".join(map(str, strides)) or "unknown"


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
        return step.once(("maps", self.name), lambda: step.adapted(self.name, self.both(step, self.name)))


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
    first = tuple(tuple(ours[level.student].shape[1:]) for level in levels)
    second = tuple(tuple(theirs[level.teacher].shape[1:]) for level in levels)
    if first != second:
        notes = (*notes, "1x1 adapters to the teacher's channels")
    return SharedMaps(first, second, levels, notes, name)


def _shapes_text(levels: list[Tensor]) -> str:
    return " and ".join(str(tuple(x.shape)) for x in levels[:3])


def class_columns(student: Side, teacher: Side) -> tuple[int, ...]:
    """Return for each class of the student the teacher's column for it, by name where names are given.

    Raises:
        AbsentError: the teacher does not know one of the student's classes, or their numbers differ without names.
    """
    ours, theirs = student.classes, teacher.classes
    if ours is None or theirs is None:
        if student.num_classes != teacher.num_classes:
            raise AbsentError(f"the student has {student.num_classes} classes, the teacher {teacher.num_classes}")
        return tuple(range(student.num_classes or 0))
    unknown = [name for name in ours if name not in theirs]
    if unknown:
        raise AbsentError(f"the teacher does not know the class {unknown[0]!r}")
    return tuple(theirs.index(name) for name in ours)


def class_notes(columns: Sequence[int]) -> tuple[str, ...]:
    """Say that classes were matched by name, where that changed something."""
    return () if tuple(columns) == tuple(range(len(columns))) else ("classes matched by name",)


def selected(x: Tensor, columns: Sequence[int], *, axis: int) -> Tensor:
    """Take columns in an order; the tensor itself where that is all of them as they are."""
    if tuple(columns) == tuple(range(x.shape[axis])):
        return x
    return x.index_select(axis, torch.tensor(columns, device=x.device))
