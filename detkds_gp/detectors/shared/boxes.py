"""Knowledge of predicted boxes, and the row fields that weigh them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..box_maps import box_rows
from ..parts import AbsentError
from ..sides import Side
from ._base import Pairs, Shape, Shared, Step, matched
from .heads import HeadMatch, OfHead
from .maps import valuable_fields


@dataclass(frozen=True)
class SharedBoxes(OfHead):
    """Decoded boxes as rows (N H W A, 4)."""

    classless: ClassVar[bool] = True

    @staticmethod
    def statements(match: HeadMatch) -> tuple[str, ...]:
        """Return what both sides have to say: class logits too, where they choose among anchors."""
        return (match.boxes, match.classes) if match.best else (match.boxes,)

    @staticmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return (H W A, 4)."""
        return anchors * grid.numel(), 4

    def pairs(self, step: Step) -> Pairs:
        """Return the boxes of every matched level."""
        maps = zip(self.head.box_maps(step), self.levels, strict=True)
        return [(box_rows(s, level.stride), box_rows(t, level.stride)) for (s, t), level in maps]


@dataclass(frozen=True)
class SharedBoxScore(OfHead):
    """The teacher's best class probability of every box as a row field (N H W A, 1)."""

    @staticmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return (H W A, 1)."""
        return anchors * grid.numel(), 1

    def pairs(self, step: Step) -> Pairs:
        """Return the probabilities of every matched level, on both sides."""
        rows = [p.permute(0, 2, 3, 1).reshape(-1, 1) for p in self.head.probabilities(step)]
        return [(row, row) for row in rows]


@dataclass(frozen=True)
class SharedValuableBoxes(OfHead):
    """LD's main and valuable region for every box as a row field (N H W A, 1)."""

    classless: ClassVar[bool] = True

    @staticmethod
    def shape(anchors: int, grid: torch.Size, width: int) -> Shape:
        """Return (H W A, 1)."""
        return anchors * grid.numel(), 1

    def pairs(self, step: Step) -> Pairs:
        """Return 0 or 1 for the boxes of every matched level, on both sides."""
        maps = [step.student[self.head.classes][level.student] for level in self.levels]
        fields = zip(valuable_fields(step, maps, self.levels), self.head.anchors, strict=True)
        rows = [x.flatten().repeat_interleave(anchors)[:, None] for x, anchors in fields]
        return [(row, row) for row in rows]


@dataclass(frozen=True)
class SharedBins(Shared):
    """The logits of the distributions of a box's sides as rows (N H W 4, n + 1).

    Attributes:
        bins: n + 1.
    """

    heard: ClassVar[tuple[str, ...]] = ("bin_map",)
    kept: ClassVar[tuple[str, ...]] = ("bin_map",)
    bins: int = 0

    def pairs(self, step: Step) -> Pairs:
        """Return the bins of every matched level."""
        return [
            (self._rows(step.student["bin_map"][level.student]), self._rows(step.teacher["bin_map"][level.teacher]))
            for level in self.levels
        ]

    def _rows(self, bin_map: Tensor) -> Tensor:
        return bin_map.permute(0, 2, 3, 1).reshape(-1, self.bins)


def share_bins(student: Side, teacher: Side) -> SharedBins:
    """Share the distributions of two GFL heads.

    Raises:
        AbsentError: a side predicts none, or of another number of bins.
    """
    levels, notes = matched(student, teacher, "bin_map")
    channels = student.said("bin_map")[0].shape[1], teacher.said("bin_map")[0].shape[1]
    if channels[0] != channels[1]:
        raise AbsentError(f"the student has {channels[0] // 4} bins a side, the teacher {channels[1] // 4}")
    bins = channels[0] // 4
    grids = [student.said("bin_map")[level.student].shape[2:] for level in levels]
    shapes = tuple((4 * grid.numel(), bins) for grid in grids)
    return SharedBins(shapes, shapes, levels, notes, bins)
