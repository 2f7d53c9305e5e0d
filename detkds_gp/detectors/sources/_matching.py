"""How two detectors are matched: levels by stride, classes by name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..parts import AbsentError
from ._base import Side
from ._shared import Level, Shape


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


def shapes(levels: Sequence[Tensor], indices: Sequence[int]) -> tuple[Shape, ...]:
    """Return the shapes of maps without the batch axis."""
    return tuple(tuple(levels[index].shape[1:]) for index in indices)


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
