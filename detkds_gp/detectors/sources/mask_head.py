"""The mask head of a two-stage detector: the masks' logits on the student's positive regions.

Outputs, for every stage that ran: ``mask_rois`` (P, 5) and ``mask_logits`` (P, K, h, w).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from torch import Tensor

from ..masks import finds_masks
from ..modes import evaluating
from ..parts import AbsentError
from ._base import Call, Reader, Side, Source, by_region
from ._matching import class_columns, class_notes, selected
from ._shared import Outputs, Pairs, Shape, Shared, Step
from .roi_head import RoiStage, cascade_notes, roi_head, stage_numbers, stages_of, whole_image

LOGIT_LIMIT = 1e-6
"""Mean probabilities are kept this far from 0 and 1 before they become logits again."""


def mask_stages(detector: BaseDetector) -> tuple[RoiStage, ...]:
    """Return the mask stages of a two-stage detector, one or those of a cascade."""
    head = getattr(detector, "roi_head", None)
    if head is None and finds_masks(detector):
        raise AbsentError(f"{type(detector).__name__} finds its masks in a way that is not known here")
    if head is None or not head.with_mask:
        raise AbsentError(f"{type(detector).__name__} has no mask head")
    head = roi_head(detector)
    if type(head)._mask_forward not in (StandardRoIHead._mask_forward, CascadeRoIHead._mask_forward):
        raise AbsentError(f"{type(head).__name__} runs its mask head in a way that is not known here")
    if getattr(head, "share_roi_extractor", False):
        raise AbsentError(f"{type(detector).__name__}'s mask head shares the box head's features")
    return stages_of(head.mask_roi_extractor, head.mask_head)


def _read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    outputs: Outputs = {"mask_rois": [], "mask_logits": []}
    for extracted, predicted in zip(calls[::2], calls[1::2], strict=True):
        outputs["mask_rois"] += [call.arguments[1] for call in extracted]
        outputs["mask_logits"] += [call.output.float() for call in predicted]
    return outputs


def _example(detector: BaseDetector, maps: Sequence[Tensor], size: tuple[int, int]) -> Outputs:
    regions = [whole_image(maps, size)] * len(mask_stages(detector))
    return {"mask_rois": regions, "mask_logits": run_mask_stages(detector, maps, regions)}


def run_mask_stages(detector: BaseDetector, maps: Sequence[Tensor], rois: Sequence[Tensor]) -> list[Tensor]:
    """Run a detector's mask stages on regions, in eval mode without gradient: (P, K, h, w) logits each.

    Stages as in `roi_head.run_box_stages`; a cascade on regions of one stage gives the logit of its stages' mean
    probability.
    """
    head = roi_head(detector)
    stages = len(mask_stages(detector))

    def run(regions: Tensor, stage: int | None) -> Tensor:
        number = () if stage is None else (stage,)
        return head._mask_forward(*number, maps, regions)["mask_preds"].float()

    with evaluating(head):
        if stages > 1 and len(rois) == 1:
            found = [run(rois[0], stage).sigmoid() for stage in range(stages)]
            return [torch.stack(found).mean(dim=0).logit(LOGIT_LIMIT)]
        return [run(*one) for one in zip(rois, stage_numbers(stages, rois), strict=True)]


@dataclass(frozen=True)
class SharedMaskLogits(Shared):
    """The logits (P, K, h, w) of both mask heads on the student's positive regions.

    Attributes:
        columns: for each channel of the student the teacher's.
    """

    student_outputs: ClassVar[tuple[str, ...]] = ("mask_rois", "mask_logits")
    teacher_outputs: ClassVar[tuple[str, ...]] = ("global",)
    runs_teacher: ClassVar[bool] = True
    columns: tuple[int, ...] = ()

    def pairs(self, step: Step) -> Pairs:
        """Return the logits, stage by stage."""
        found = run_mask_stages(step.running_teacher(), step.teacher["global"], step.student["mask_rois"])
        stages = zip(step.student["mask_logits"], found, strict=True)
        return [(ours, selected(theirs, self.columns, axis=1)) for ours, theirs in stages]


def share_masks(student: Side, teacher: Side) -> SharedMaskLogits:
    """Share the logits of two mask heads of one size and with the same classes."""
    ours, theirs = student.output("mask_logits"), teacher.output("mask_logits")
    agnostic = [s[0].shape[1] == 1 != side.num_classes for s, side in ((ours, student), (theirs, teacher))]
    if agnostic[0] != agnostic[1]:
        who = "the student" if agnostic[0] else "the teacher"
        raise AbsentError(f"{who} predicts one mask for all classes, the other one for each")
    if ours[0].shape[2:] != theirs[0].shape[2:]:
        raise AbsentError(f"the student's masks have side {ours[0].shape[3]}, the teacher's {theirs[0].shape[3]}")
    columns = (0,) if agnostic[0] else class_columns(student, teacher)
    shapes: tuple[Shape, ...] = (tuple(ours[0].shape[1:]),) * len(ours)
    notes = ("on the student's positive regions", *class_notes(columns), *cascade_notes(len(ours), len(theirs)))
    return SharedMaskLogits(shapes, shapes, (), notes, columns)


SOURCE = Source(
    "mask head",
    (
        Reader(
            ("mask_rois", "mask_logits"),
            lambda detector: [module for stage in mask_stages(detector) for module in stage],
            _read,
            once=False,
            cut=by_region("mask_rois"),
            fixed=("mask_rois",),
            example=_example,
        ),
    ),
    {"mask_logits": share_masks},
    called="masks on regions",
)
