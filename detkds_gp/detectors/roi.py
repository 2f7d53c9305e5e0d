"""Asks a teacher's second stage about regions: the student's, so that both speak of the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from .knowledge import decoded_regions
from .modes import evaluating
from .parts import box_stages, mask_stages, roi_head

LOGIT_LIMIT = 1e-6
"""Mean probabilities are kept this far from 0 and 1 before they become logits again."""


@dataclass(frozen=True, eq=False)
class RegionAnswer:
    """What a second stage says of regions.

    Attributes:
        logits: (R, K + 1), the background's last.
        boxes: (R, 1 or K, 4), decoded without clipping.
    """

    logits: Tensor
    boxes: Tensor


def ask_regions(
    detector: BaseDetector, maps: Sequence[Tensor], rois: Sequence[Tensor], sizes: Sequence[tuple[int, int]]
) -> list[RegionAnswer]:
    """Run a detector's box stages on regions, in eval mode without gradient.

    A stage answers the stage of the same number. Where only one is asked, a cascade answers as it predicts: each
    stage refines the boxes of the one before, the logits of all are averaged, the last one's boxes count.

    Args:
        detector: two-stage.
        maps: its neck's levels.
        rois: for each of the asker's stages (R, 5).
        sizes: (height, width) of each image without its padding, to which refined regions are clipped.
    """
    head = roi_head(detector)
    stages = len(box_stages(detector))
    with evaluating(head):
        if stages == 1:
            return [_answer(head, maps, regions, None) for regions in rois]
        if len(rois) == 1:
            return [_cascaded(head, maps, rois[0], stages, sizes)]
        return [_answer(head, maps, regions, min(stage, stages - 1)) for stage, regions in enumerate(rois)]


def ask_masks(detector: BaseDetector, maps: Sequence[Tensor], rois: Sequence[Tensor]) -> list[Tensor]:
    """Run a detector's mask stages on regions, in eval mode without gradient: (P, K, h, w) logits each.

    Stages as in `ask_regions`; a cascade asked once answers the logit of its stages' mean probability.
    """
    head = roi_head(detector)
    stages = len(mask_stages(detector))
    with evaluating(head):
        if stages == 1:
            return [head._mask_forward(maps, regions)["mask_preds"].float() for regions in rois]
        if len(rois) == 1:
            said = [head._mask_forward(stage, maps, rois[0])["mask_preds"].float() for stage in range(stages)]
            return [torch.stack([logits.sigmoid() for logits in said]).mean(dim=0).logit(LOGIT_LIMIT)]
        return [
            head._mask_forward(min(stage, stages - 1), maps, regions)["mask_preds"].float()
            for stage, regions in enumerate(rois)
        ]


def _answer(head: Any, maps: Sequence[Tensor], rois: Tensor, stage: int | None) -> RegionAnswer:
    """Run one box stage through the detector's own forward of it."""
    said = head._bbox_forward(maps, rois) if stage is None else head._bbox_forward(stage, maps, rois)
    box_head = head.bbox_head if stage is None else head.bbox_head[stage]
    return RegionAnswer(said["cls_score"].float(), decoded_regions(box_head, rois, said["bbox_pred"]))


def _cascaded(
    head: Any, maps: Sequence[Tensor], rois: Tensor, stages: int, sizes: Sequence[tuple[int, int]]
) -> RegionAnswer:
    limits = rois.new_tensor([(width, height, width, height) for height, width in sizes])
    answers: list[RegionAnswer] = []
    for stage in range(stages):
        answers.append(_answer(head, maps, rois, stage))
        refined = best_boxes(answers[-1])
        refined = torch.minimum(refined.clamp_min(0), limits[rois[:, 0].long()])
        rois = torch.cat([rois[:, :1], refined], dim=1)
    logits = torch.stack([answer.logits for answer in answers]).mean(dim=0)
    return RegionAnswer(logits, answers[-1].boxes)


def best_boxes(answer: RegionAnswer) -> Tensor:
    """Return for each region the box (R, 4) of its best class other than the background."""
    return boxes_of(answer.boxes, answer.logits[:, :-1].argmax(dim=1))


def boxes_of(boxes: Tensor, labels: Tensor) -> Tensor:
    """Return for each region its box of a class.

    Args:
        boxes: (R, 1 or K, 4).
        labels: (R,).
    """
    column = labels if boxes.shape[1] > 1 else torch.zeros_like(labels)
    return boxes.gather(1, column[:, None, None].expand(-1, 1, 4)).squeeze(1)
