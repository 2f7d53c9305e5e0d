"""What is made of two matched heads on the neck's maps: class logits, boxes and their scores."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from ._base import Share, Side
from ._head_match import HeadMatch, match_heads
from ._matching import class_notes, matched
from ._shared import Pairs, Shape, Shared, Step
from .box_maps import box_rows


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
    def student_outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Outputs of the student that are needed."""
        return self.outputs(self.head)

    @property
    def teacher_outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Outputs of the teacher that are needed."""
        return self.outputs(self.head)

    @staticmethod
    def outputs(match: HeadMatch) -> tuple[str, ...]:
        """Return the outputs that are needed of both sides."""
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
class SharedBoxes(OfHead):
    """Decoded boxes as rows (N H W A, 4)."""

    classless: ClassVar[bool] = True

    @staticmethod
    def outputs(match: HeadMatch) -> tuple[str, ...]:
        """Return the outputs that are needed of both sides: class logits too, where they choose among anchors."""
        return (match.boxes, match.classes) if match.best else (match.boxes,)

    @staticmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return (H W A, 4)."""
        return anchors * grid.numel(), 4

    def pairs(self, step: Step) -> Pairs:
        """Return the boxes of every matched level."""
        maps = zip(self.head.box_maps(step), self.head.strides, strict=True)
        return [(box_rows(s, strides[0]), box_rows(t, strides[1])) for (s, t), strides in maps]


@dataclass(frozen=True)
class SharedBoxScore(OfHead):
    """The teacher's best class probability of every box, times YOLOX's objectness, as a row field (N H W A, 1)."""

    @property
    def teacher_outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Outputs of the teacher that are needed."""
        return (*self.outputs(self.head), *self.head.factors)

    @staticmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return (H W A, 1)."""
        return anchors * grid.numel(), 1

    def pairs(self, step: Step) -> Pairs:
        """Return the probabilities of every matched level, on both sides."""
        rows = [p.permute(0, 2, 3, 1).reshape(-1, 1) for p in self.head.probabilities(step)]
        return [(row, row) for row in rows]


def of_heads(kind: type[OfHead], classes: str, boxes: str) -> Share:
    """Return what shares ``kind``, made of two heads with these outputs."""
    return partial(share_heads, kind=kind, classes=classes, boxes=boxes)


def share_heads(student: Side, teacher: Side, kind: type[OfHead], classes: str, boxes: str) -> OfHead:
    """Share what ``kind`` makes of two heads.

    Raises:
        AbsentError: a side does not have it, or the two do not fit.
    """
    match = match_heads(student, teacher, classes, boxes, classless=kind.classless)
    for name in kind.outputs(match):
        student.output(name), teacher.output(name)
    _, notes = matched(student, teacher, classes)
    if match.best:
        notes = (*notes, "the best-scoring anchor of each location and class")
    grids = [student.output(classes)[level.student].shape[2:] for level in match.levels]
    shapes = tuple(
        kind.shape(anchors, grid, len(match.columns)) for anchors, grid in zip(match.anchors, grids, strict=True)
    )
    return kind(shapes, shapes, match.levels, (*notes, *class_notes(match.columns)), match)
