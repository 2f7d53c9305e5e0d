"""The dense head of a one-stage detector: class logits, boxes and their bins, and the fields that weigh them.

Outputs: ``class_map`` (N, A K, H, W), ``object_map`` (N, 1, H, W), ``bin_map`` (N, 4 (n + 1), H, W), see `head_maps`;
``box_map`` (N, 4 A, H, W), see `box_maps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

from ..parts import AbsentError, dense_head
from ._base import Call, Reader, Side, Source
from ._head_match import columns_of, factors_of, has_softmax
from ._heads import OfHead, SharedBoxes, SharedBoxScore, SharedClassMap, SharedClassRows, of_heads
from ._matching import class_columns, matched, selected
from ._shared import Outputs, Pairs, Shape, Shared, Step
from .box_maps import check_boxes, read_box_maps
from .head_maps import read_bin_maps, read_class_maps, read_object_maps
from .neck import share_neck, valuable_fields


def _modules(detector: BaseDetector) -> list[nn.Module]:
    return [dense_head(detector)]


def _read_classes(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    return {"class_map": read_class_maps(dense_head(detector), calls[0][0].output)}


def _read_objects(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    return {"object_map": read_object_maps(dense_head(detector), calls[0][0].output)}


def _read_boxes(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    return {"box_map": read_box_maps(dense_head(detector), calls[0][0].output, calls[0][0].training)}


def _read_bins(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    return {"bin_map": read_bin_maps(dense_head(detector), calls[0][0].output)}


def _check_boxes(detector: BaseDetector, maps: Sequence[Tensor], size: tuple[int, int]) -> None:
    check_boxes(dense_head(detector), maps, size)


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

    student_outputs: ClassVar[tuple[str, ...]] = ("bin_map",)
    teacher_outputs: ClassVar[tuple[str, ...]] = ("bin_map",)
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
    channels = student.output("bin_map")[0].shape[1], teacher.output("bin_map")[0].shape[1]
    if channels[0] != channels[1]:
        raise AbsentError(f"the student has {channels[0] // 4} bins a side, the teacher {channels[1] // 4}")
    bins = channels[0] // 4
    grids = [student.output("bin_map")[level.student].shape[2:] for level in levels]
    shapes = tuple((4 * grid.numel(), bins) for grid in grids)
    return SharedBins(shapes, shapes, levels, notes, bins)


@dataclass(frozen=True)
class SharedScoreField(Shared):
    """The teacher's best probability at every position of the neck's levels as a field (N, 1, H, W).

    Attributes:
        output: of the teacher: ``class_map``, or ``objectness_map`` of a two-stage one.
        objects: the outputs whose probabilities multiply those of the classes.
        width: columns of its class logits.
        columns: those of the student's classes.
        softmax: whether the last column is the background's.
    """

    output: str = "class_map"
    width: int = 1
    columns: tuple[int, ...] = (0,)
    softmax: bool = False
    objects: tuple[str, ...] = ()

    @property
    def teacher_outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Outputs of the teacher that are needed."""
        return (self.output, *self.objects)

    def pairs(self, step: Step) -> Pairs:
        """Return the field of every level, on both sides."""
        fields = [self._field(step, level.teacher) for level in self.levels]
        return [(x, x) for x in fields]

    def _field(self, step: Step, level: int) -> Tensor:
        logits = step.teacher[self.output][level].unflatten(1, (-1, self.width))
        p = logits.softmax(dim=2) if self.softmax else logits.sigmoid()
        best = selected(p, self.columns, axis=2).amax(dim=2)
        for name in self.objects:
            best = best * step.teacher[name][level].sigmoid()
        return best.amax(dim=1, keepdim=True)


def share_score_field(student: Side, teacher: Side) -> SharedScoreField:
    """Share the teacher's score on the levels of the neck; of a two-stage teacher that of its proposals.

    Raises:
        AbsentError: the teacher's head does not stand on the levels that the necks share.
    """
    maps = share_neck(student, teacher)
    output = "class_map" if "class_map" in teacher.outputs else "objectness_map"
    teacher.output(output)
    strides = teacher.strides[output]
    if any(level.stride not in strides for level in maps.levels):
        raise AbsentError("the teacher's head does not stand on all levels that the necks share")
    levels = tuple(replace(level, teacher=strides.index(level.stride)) for level in maps.levels)
    columns = (0,) if output == "objectness_map" else class_columns(student, teacher)
    fields = tuple((1, *shape[1:]) for shape in maps.teacher)
    softmax, width = has_softmax(teacher, output), columns_of(teacher, output)
    return SharedScoreField(fields, fields, levels, (), output, width, columns, softmax, factors_of(teacher, output))


HEAD = "class_map", "box_map"
SOURCE = Source(
    "dense head",
    (
        Reader(("class_map",), _modules, _read_classes, head=dense_head),
        Reader(("object_map",), _modules, _read_objects, head=dense_head),
        Reader(("box_map",), _modules, _read_boxes, head=dense_head, check=_check_boxes),
        Reader(("bin_map",), _modules, _read_bins, head=dense_head),
    ),
    {
        "class_logits": of_heads(SharedClassRows, *HEAD),
        "class_map": of_heads(SharedClassMap, *HEAD),
        "boxes": of_heads(SharedBoxes, *HEAD),
        "box_bins": share_bins,
        "box_score": of_heads(SharedBoxScore, *HEAD),
        "valuable_boxes": of_heads(SharedValuableBoxes, *HEAD),
        "teacher_score": share_score_field,
    },
    called="one stage",
)
