"""What a student and a teacher share: decided once for a pair, made anew for every batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

from ..knowledge import Knowledge
from ..parts import AbsentError
from ..scene import Scene
from ..sides import Side

Shape = tuple[int, ...]
Pairs = list[tuple[Tensor, Tensor]]
"""(student, teacher) of every level; a field stands on both sides."""

T = TypeVar("T")


@dataclass(frozen=True)
class Level:
    """Two levels of one stride.

    Attributes:
        stride: input pixels between two locations.
        student: index among the student's levels.
        teacher: index among the teacher's.
    """

    stride: int
    student: int
    teacher: int


@dataclass(frozen=True)
class Shared(ABC):
    """One knowledge that both detectors offer.

    Attributes:
        student: for each level the shape on one image: (C, H, W) of maps, (M, K) of rows.
        teacher: the same of the teacher; it differs in C at most.
        levels: what is compared with what; empty where there are no strides (regions).
        notes: what was left out or brought together, in words.
    """

    student: tuple[Shape, ...]
    teacher: tuple[Shape, ...]
    levels: tuple[Level, ...] = ()
    notes: tuple[str, ...] = ()

    heard: ClassVar[tuple[str, ...]] = ()
    """Statements of the student that are needed."""
    kept: ClassVar[tuple[str, ...]] = ()
    """Statements of the teacher that are needed, and may be kept."""
    adapts: ClassVar[tuple[str, ...]] = ()
    """Maps whose channels it needs brought to the teacher's."""
    live: ClassVar[bool] = False
    """Whether the teacher itself is asked at every step."""

    @abstractmethod
    def pairs(self, step: Step) -> Pairs:
        """Make the tensors of a batch, level by level."""


@dataclass
class Step:
    """Both detectors' statements on one batch; what several knowledges need is made once.

    Attributes:
        student: what the student said.
        teacher: what the teacher said.
        scene: the objects of the batch.
        shared: the pair's knowledge by name.
        adapters: by knowledge name, one module a level.
        live: the teacher, where it is asked at every step.
    """

    student: Knowledge
    teacher: Knowledge
    scene: Scene
    shared: Mapping[str, Shared]
    adapters: nn.ModuleDict
    live: BaseDetector | None = None
    _made: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Return what ``make`` gave when it was first asked for under this key."""
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])

    def teacher_itself(self) -> BaseDetector:
        """Return the teacher.

        Raises:
            ValueError: there is none.
        """
        if self.live is None:
            raise ValueError("got no teacher, but this knowledge asks it at every step; give DistilledDetector one")
        return self.live

    def adapted(self, name: str, pairs: Pairs) -> Pairs:
        """Bring the student's side to the teacher's channels; what has no adapter passes through."""
        key = name.replace(".", "/")  # a module dict takes no dots
        if key not in self.adapters:
            return pairs
        layers = cast("nn.ModuleList", self.adapters[key])
        return [(layer(s), t) for layer, (s, t) in zip(layers, pairs, strict=True)]


def matched(student: Side, teacher: Side, name: str) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """Match the levels of a statement by stride; says which are left out.

    Raises:
        AbsentError: a side does not say it, no stride is common, or the maps of one stride differ in size.
    """
    ours, theirs = student.said(name), teacher.said(name)
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


def shapes(said: Sequence[Tensor], indices: Sequence[int]) -> tuple[Shape, ...]:
    """Return the shapes of maps without the batch axis."""
    return tuple(tuple(said[index].shape[1:]) for index in indices)


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


def _listed(strides: Sequence[int]) -> str:
    return ", ".join(map(str, strides)) or "unknown"
