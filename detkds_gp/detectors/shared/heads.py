"""Knowledge of dense heads and region proposal networks: how two heads are brought together, and their class logits."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..parts import AbsentError
from ..sides import Side
from ._base import Level, Pairs, Shape, Shared, Step, class_columns, class_notes, matched, selected
from .maps import share_maps


@dataclass(frozen=True)
class HeadMatch:
    """How two heads are brought together.

    Attributes:
        classes: the statement of their class logits: ``class_map`` or ``objectness_map``.
        boxes: the statement of their boxes: ``box_map`` or ``proposal_map``.
        levels: what is compared with what.
        widths: columns of a row, of the student and of the teacher.
        columns: for each column of the student the teacher's.
        best: whether only the best-scoring anchor of a location and class is compared.
        anchors: for each level how many of a location are compared.
        softmax: whether the last column is the background's.
    """

    classes: str
    boxes: str
    levels: tuple[Level, ...]
    widths: tuple[int, int]
    columns: tuple[int, ...]
    best: bool
    anchors: tuple[int, ...]
    softmax: bool

    def class_maps(self, step: Step) -> Pairs:
        """Return (N, A, K, H, W) logits of both sides, level by level; A is 1 where only the best count."""
        return step.once(("classes", self.classes), lambda: [self._classes(step, level) for level in self.levels])

    def _classes(self, step: Step, level: Level) -> tuple[Tensor, Tensor]:
        s, t = self._split(step, level)
        t = selected(t, self.columns, axis=2)
        return (s.amax(dim=1, keepdim=True), t.amax(dim=1, keepdim=True)) if self.best else (s, t)

    def _split(self, step: Step, level: Level) -> tuple[Tensor, Tensor]:
        ours, theirs = step.student[self.classes][level.student], step.teacher[self.classes][level.teacher]
        return ours.unflatten(1, (-1, self.widths[0])), theirs.unflatten(1, (-1, self.widths[1]))

    def box_maps(self, step: Step) -> Pairs:
        """Return (N, 4 A, H, W) box maps of both sides, level by level."""
        return step.once(("boxes", self.boxes), lambda: [self._boxes(step, level) for level in self.levels])

    def _boxes(self, step: Step, level: Level) -> tuple[Tensor, Tensor]:
        s, t = step.student[self.boxes][level.student], step.teacher[self.boxes][level.teacher]
        if not self.best:
            return s, t
        ours, theirs = self._split(step, level)
        return best_box(s, ours), best_box(t, selected(theirs, self.columns, axis=2))

    def probabilities(self, step: Step) -> list[Tensor]:
        """Return the teacher's best class probability (N, A, H, W) of every level."""
        return step.once(("scores", self.classes), lambda: [self._probability(step, level) for level in self.levels])

    def _probability(self, step: Step, level: Level) -> Tensor:
        _, logits = self._split(step, level)
        p = logits.softmax(dim=2) if self.softmax else logits.sigmoid()  # over all that the teacher knows
        best = selected(p, self.columns[:-1] if self.softmax else self.columns, axis=2).amax(dim=2)
        return best.amax(dim=1, keepdim=True) if self.best else best


def best_box(box_map: Tensor, logits: Tensor) -> Tensor:
    """Take at every location the box of the anchor with the highest logit.

    Args:
        box_map: (N, 4 A, H, W).
        logits: (N, A, K, H, W).

    Returns:
        (N, 4, H, W).
    """
    anchor = logits.amax(dim=2).argmax(dim=1)[:, None, None]  # (N, 1, 1, H, W)
    boxes = box_map.unflatten(1, (-1, 4))
    return boxes.gather(1, anchor.expand(-1, 1, 4, -1, -1)).squeeze(1)


def match_heads(student: Side, teacher: Side, classes: str, boxes: str, *, classless: bool = False) -> HeadMatch:
    """Say how two heads are brought together.

    Args:
        student: the detector that learns.
        teacher: the detector that knows.
        classes: the statement of their class logits.
        boxes: the statement of their boxes.
        classless: whether classes matter only where they choose among anchors.

    Raises:
        AbsentError: a side has none, or the classes or their activation differ.
    """
    levels, _ = matched(student, teacher, classes)
    own = [student.anchors[classes][level.student] for level in levels]
    best = not all(map(_same, own, [teacher.anchors[classes][level.teacher] for level in levels]))
    anchors = tuple(1 if best else len(anchors) for anchors in own)
    widths = student.columns, teacher.columns
    if classless and not best:
        return HeadMatch(classes, boxes, levels, widths, (), best, anchors, softmax=False)
    columns, softmax = _columns(student, teacher, classes)
    if best and softmax:
        raise AbsentError("their anchors differ, and logits of a softmax have no best-scoring anchor class by class")
    return HeadMatch(classes, boxes, levels, widths, columns, best, anchors, softmax)


def _columns(student: Side, teacher: Side, classes: str) -> tuple[tuple[int, ...], bool]:
    """Return the teacher's column for each of the student's, and whether the last is the background's."""
    softmax = [has_softmax(side, classes) for side in (student, teacher)]
    if softmax[0] != softmax[1]:
        kinds = ["a softmax" if one else "a sigmoid" for one in softmax]
        raise AbsentError(f"the student's class logits go through {kinds[0]}, the teacher's through {kinds[1]}")
    columns = (0,) if classes == "objectness_map" else class_columns(student, teacher)
    return ((*columns, teacher.columns - 1) if softmax[0] else columns), softmax[0]


def has_softmax(side: Side, classes: str) -> bool:
    """Whether a head's class logits have a column for the background."""
    known = 1 if classes == "objectness_map" else side.num_classes or 0
    return side.columns == known + 1


def _same(ours: Tensor, theirs: Tensor) -> bool:
    if len(ours) == len(theirs) == 1:
        return True
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, atol=1e-3)


@dataclass(frozen=True)
class OfHead(Shared):
    """What is made of two matched heads."""

    classless: ClassVar[bool] = False
    """Whether classes matter only where they choose among anchors."""

    match: HeadMatch | None = None

    @property
    def head(self) -> HeadMatch:
        """How the heads are brought together."""
        assert self.match is not None
        return self.match

    @property
    def heard(self) -> tuple[str, ...]:  # type: ignore[override]
        """Statements of the student that are needed."""
        return self.statements(self.head)

    @property
    def kept(self) -> tuple[str, ...]:  # type: ignore[override]
        """Statements of the teacher that are needed."""
        return self.statements(self.head)

    @staticmethod
    def statements(match: HeadMatch) -> tuple[str, ...]:
        """Return what both sides have to say."""
        return (match.classes,)

    @staticmethod
    @abstractmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return the shape of a level on one image."""


@dataclass(frozen=True)
class SharedClassMap(OfHead):
    """Class logits as maps (N, A K, H, W)."""

    @staticmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return (A K, H, W)."""
        return (anchors * width, *grid)

    def pairs(self, step: Step) -> Pairs:
        """Return the maps of every matched level."""
        return [(s.flatten(1, 2), t.flatten(1, 2)) for s, t in self.head.class_maps(step)]


@dataclass(frozen=True)
class SharedClassRows(OfHead):
    """Class logits as rows (N H W A, K)."""

    @staticmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return (H W A, K)."""
        return anchors * grid.numel(), width

    def pairs(self, step: Step) -> Pairs:
        """Return the rows of every matched level."""
        return [(class_rows(s), class_rows(t)) for s, t in self.head.class_maps(step)]


def class_rows(logits: Tensor) -> Tensor:
    """Write (N, A, K, H, W) as rows (N H W A, K); row ``((n H + h) W + w) A + a``."""
    return logits.permute(0, 3, 4, 1, 2).flatten(0, 3)


@dataclass(frozen=True)
class SharedScoreField(Shared):
    """The teacher's best probability at every position of the neck's levels as a field (N, 1, H, W).

    Attributes:
        statement: of the teacher: ``class_map``, or ``objectness_map`` of a two-stage one.
        width: columns of its class logits.
        columns: those of the student's classes.
        softmax: whether the last column is the background's.
    """

    statement: str = "class_map"
    width: int = 1
    columns: tuple[int, ...] = (0,)
    softmax: bool = False

    @property
    def kept(self) -> tuple[str, ...]:  # type: ignore[override]
        """Statements of the teacher that are needed."""
        return (self.statement,)

    def pairs(self, step: Step) -> Pairs:
        """Return the field of every level, on both sides."""
        fields = [self._field(step.teacher[self.statement][level.teacher]) for level in self.levels]
        return [(x, x) for x in fields]

    def _field(self, class_map: Tensor) -> Tensor:
        logits = class_map.unflatten(1, (-1, self.width))
        p = logits.softmax(dim=2) if self.softmax else logits.sigmoid()
        return selected(p, self.columns, axis=2).amax(dim=(1, 2))[:, None]


def share_head(
    student: Side, teacher: Side, kind: type[OfHead], classes: str = "class_map", boxes: str = "box_map"
) -> OfHead:
    """Share what ``kind`` makes of two heads.

    Raises:
        AbsentError: a side does not offer it, or the two do not fit.
    """
    match = match_heads(student, teacher, classes, boxes, classless=kind.classless)
    for statement in kind.statements(match):
        student.said(statement), teacher.said(statement)
    _, notes = matched(student, teacher, classes)
    if match.best:
        notes = (*notes, "the best-scoring anchor of each location and class")
    grids = [student.said(classes)[level.student].shape[2:] for level in match.levels]
    shapes = tuple(
        kind.shape(anchors, grid, len(match.columns)) for anchors, grid in zip(match.anchors, grids, strict=True)
    )
    return kind(shapes, shapes, match.levels, (*notes, *class_notes(match.columns)), match)


def share_score_field(student: Side, teacher: Side) -> SharedScoreField:
    """Share the teacher's score on the levels of the neck; of a two-stage teacher that of its proposals.

    Raises:
        AbsentError: the teacher's head does not stand on the levels that the necks share.
    """
    maps = share_maps(student, teacher)
    statement = "class_map" if "class_map" in teacher.knowledge else "objectness_map"
    teacher.said(statement)
    strides = teacher.strides[statement]
    if any(level.stride not in strides for level in maps.levels):
        raise AbsentError("the teacher's head does not stand on all levels that the necks share")
    levels = tuple(replace(level, teacher=strides.index(level.stride)) for level in maps.levels)
    columns = (0,) if statement == "objectness_map" else class_columns(student, teacher)
    fields = tuple((1, *shape[1:]) for shape in maps.teacher)
    softmax = has_softmax(teacher, statement)
    return SharedScoreField(fields, fields, levels, (), statement, teacher.columns, columns, softmax)
