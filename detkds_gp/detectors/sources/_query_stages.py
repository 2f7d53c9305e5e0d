"""Second stages whose regions are queries: Sparse R-CNN's and QueryInst's, which refine each other's boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import EmbeddingRPNHead
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.roi_heads import SparseRoIHead
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ._base import Call, Ran
from ._shared import Outputs


def has_query_stages(detector: BaseDetector) -> bool:
    """Return whether a detector's regions are queries."""
    head, first = getattr(detector, "roi_head", None), getattr(detector, "rpn_head", None)
    return isinstance(head, SparseRoIHead) and isinstance(first, EmbeddingRPNHead)


def stage_modules(detector: Any) -> list[nn.Module]:
    """Return the box heads of all stages, then what gives them their regions."""
    return [*detector.roi_head.bbox_head, *detector.roi_head.bbox_roi_extractor]


def read_stages(detector: Any, calls: Sequence[Sequence[Call]]) -> Outputs:
    """Read the class logits and boxes of every stage, as `query_head` does those of a decoder layer."""
    heads = detector.roi_head.bbox_head
    predicted, extracted = ([one for (one,) in part] for part in (calls[: len(heads)], calls[len(heads) :]))
    extents = _extents(detector.rpn_head, extracted[0].arguments[1][:, 1:])
    outputs: Outputs = {"query_logits": [], "query_boxes": []}
    for head, call, regions in zip(heads, predicted, extracted, strict=True):
        logits, deltas = (x.float().flatten(0, 1) for x in call.output[:2])
        outputs["query_logits"].append(logits)
        boxes = head.bbox_coder.decode(regions.arguments[1][:, 1:].float(), deltas)
        outputs["query_boxes"].append(boxes / extents)
    return outputs


def _extents(first: Any, regions: Tensor) -> Tensor:
    """Return (w, h, w, h) of the image of every region (N Q, 4): the first ones are learned parts of their image."""
    parts = bbox_cxcywh_to_xyxy(first.init_proposal_bboxes.weight).detach()
    sides = (regions.detach()[:, 2:] - regions.detach()[:, :2]).unflatten(0, (-1, len(parts)))
    sizes = (sides / (parts[:, 2:] - parts[:, :2])).median(dim=1).values.round()
    return torch.cat([sizes, sizes], dim=1).repeat_interleave(len(parts), dim=0).to(regions)


def run_stages(detector: Any, ran: Ran) -> None:
    """Run all stages on the neck's maps."""
    regions = detector.rpn_head.predict(ran.maps, ran.samples)
    metas = [sample.metainfo for sample in ran.samples]
    detector.roi_head.predict_bbox(ran.maps, metas, regions, detector.roi_head.test_cfg, rescale=False)
