"""The dense head of a one-stage detector: class logits, boxes and their bins, and the fields that weigh them.

Outputs: ``class_map`` (N, A K, H, W), ``object_map`` (N, 1, H, W), ``bin_map`` (N, 4 (n + 1), H, W), and ``box_map``
(N, 4 A, H, W), see `box_maps`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from mmdet.models.dense_heads import GFLHead, TOODHead, YOLOXHead
from torch import Tensor

from ..parts import AbsentError, dense_head, prior_generator
from ._base import Side, Source
from ._heads import SharedHead, box_reader, columns_of, factors_of, has_softmax, head_reader, of_heads, teacher_columns
from ._matching import matched
from ._shared import Pairs, Shared, Step
from .neck import share_neck

LOGIT_LIMIT = 1e-6
"""Probabilities are kept this far from 0 and 1 before they become logits."""


def read_class_maps(head: Any, outputs: Any) -> list[Tensor]:
    """Return the class logits (N, A K, H, W) of every level, before sigmoid or softmax; channel ``a K + k``.

    Dense heads give them first, in train and in eval mode. A softmax head has one class more, the background, last.
    TOOD gives probabilities; what is returned are their logits.

    Raises:
        AbsentError: the head gives no maps of classes.
    """
    wanted = None
    if hasattr(head, "cls_out_channels"):
        wanted = [anchors * head.cls_out_channels for anchors in prior_generator(head).num_base_priors]
    maps = outputs[0] if isinstance(outputs, (tuple, list)) and outputs else None
    maps = maps if isinstance(maps, (tuple, list)) else []
    if [level.shape[1] if isinstance(level, Tensor) and level.ndim == 4 else None for level in maps] != wanted:
        raise AbsentError(f"{type(head).__name__} offers no class map")
    levels = [level.float() for level in maps]
    return [level.logit(LOGIT_LIMIT) for level in levels] if isinstance(head, TOODHead) else levels


def read_object_maps(head: Any, outputs: Any) -> list[Tensor]:
    """Return the logits (N, 1, H, W) of the objectness that a head multiplies its class probabilities by."""
    if not isinstance(head, YOLOXHead):
        raise AbsentError(f"{type(head).__name__} predicts no objectness beside its classes")
    return [level.float() for level in outputs[2]]


def read_bin_maps(head: Any, outputs: Any) -> list[Tensor]:
    """Return the logits of the distributions that a GFL head predicts: (N, 4 (n + 1), H, W) a level."""
    if not isinstance(head, GFLHead):
        raise AbsentError(f"{type(head).__name__} predicts boxes as numbers, not as distributions")
    return [level.float() for level in outputs[1]]


CLASSES = head_reader(dense_head, "class_map", read_class_maps)
OBJECTS = head_reader(dense_head, "object_map", read_object_maps)
BOXES = box_reader(dense_head, "box_map")
BINS = head_reader(dense_head, "bin_map", read_bin_maps)


@dataclass(frozen=True)
class SharedBins(Shared):
    """The logits of the distributions of a box's sides as rows (N H W 4, n + 1), of n + 1 bins."""

    student_outputs: ClassVar[tuple[str, ...]] = ("bin_map",)
    teacher_outputs: ClassVar[tuple[str, ...]] = ("bin_map",)
    bins: int = 0

    def pairs(self, step: Step) -> Pairs:
        """Return the bins of every matched level."""
        rows = ([x.permute(0, 2, 3, 1).reshape(-1, self.bins) for x in pair] for pair in self.both(step, "bin_map"))
        return [(ours, theirs) for ours, theirs in rows]


def share_bins(student: Side, teacher: Side) -> SharedBins:
    """Share the distributions of two GFL heads with as many bins."""
    levels, notes = matched(student, teacher, "bin_map")
    bins, theirs = (side.output("bin_map")[0].shape[1] // 4 for side in (student, teacher))
    if bins != theirs:
        raise AbsentError(f"the student has {bins} bins a side, the teacher {theirs}")
    grids = [student.output("bin_map")[level.student].shape[2:] for level in levels]
    shapes = tuple((4 * grid.numel(), bins) for grid in grids)
    return SharedBins(shapes, shapes, levels, notes, bins)


def share_score_field(student: Side, teacher: Side) -> SharedHead:
    """Share the teacher's score on the levels that the necks share; of a two-stage teacher that of its proposals."""
    maps = share_neck(student, teacher)
    output = "class_map" if "class_map" in teacher.outputs else "objectness_map"
    teacher.output(output)
    strides = teacher.strides[output]
    if any(level.stride not in strides for level in maps.levels):
        raise AbsentError("the teacher's head does not stand on all levels that the necks share")
    fields = tuple((1, *shape[1:]) for shape in maps.teacher)
    return SharedHead(
        fields,
        fields,
        tuple(replace(level, teacher=strides.index(level.stride)) for level in maps.levels),
        teacher_outputs=(output, *factors_of(teacher, output)),
        what="field",
        widths=(1, columns_of(teacher, output)),
        columns=teacher_columns(student, teacher, output),
        best=True,
        softmax=has_softmax(teacher, output),
    )


SOURCE = Source(
    "dense head",
    (CLASSES, OBJECTS, BOXES, BINS),
    {
        **of_heads("class_map", "box_map", class_logits="logits", class_map="map", boxes="boxes"),
        "box_bins": share_bins,
        **of_heads("class_map", "box_map", box_score="score", valuable_boxes="valuable"),
        "teacher_score": share_score_field,
    },
    called="one stage",
)
