"""Names the parts of mmdet's detectors, and says in words what a detector does not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmdet.models.dense_heads import RPNHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.roi_heads import CascadeRoIHead, SABLHead, StandardRoIHead
from torch import nn

from detkds_gp.errors import nearest


class AbsentError(Exception):
    """A detector, or a pair of them, does not offer a knowledge; the message says why."""


@dataclass(frozen=True, eq=False)
class RoiStage:
    """One stage of a second stage: what turns regions of the maps into predictions.

    Attributes:
        extractor: takes (maps, rois (R, 5)) to features.
        head: takes these to its predictions.
    """

    extractor: nn.Module
    head: Any


def pyramid(detector: BaseDetector) -> nn.Module:
    """Return the neck, or the backbone of a detector without a neck."""
    module = detector.neck if detector.with_neck else getattr(detector, "backbone", None)
    if module is None:
        raise AbsentError(f"{type(detector).__name__} has neither neck nor backbone")
    return module


def dense_head(detector: BaseDetector) -> Any:
    """Return the head of a one-stage detector."""
    head = getattr(detector, "bbox_head", None)
    if not isinstance(head, BaseDenseHead):
        raise AbsentError(f"{type(detector).__name__} has no dense head")
    return head


def rpn_head(detector: BaseDetector) -> Any:
    """Return the region proposal network of a two-stage detector."""
    head = getattr(detector, "rpn_head", None)
    if not isinstance(head, RPNHead):
        raise AbsentError(f"{type(detector).__name__} has no region proposal network")
    return head


def first_head(detector: BaseDetector) -> Any | None:
    """Return the head that runs on the neck's maps, dense head or proposal network, or None."""
    for find in (dense_head, rpn_head):
        try:
            return find(detector)
        except AbsentError:
            continue
    return None


def roi_head(detector: BaseDetector) -> Any:
    """Return the second stage of a two-stage detector."""
    head = getattr(detector, "roi_head", None)
    if not isinstance(head, (StandardRoIHead, CascadeRoIHead)):
        raise AbsentError(f"{type(detector).__name__} has no RoI head")
    return head


def box_stages(detector: BaseDetector) -> tuple[RoiStage, ...]:
    """Return the box stages of a two-stage detector, one or those of a cascade."""
    head = roi_head(detector)
    _check_plain(head)
    return _stages(head.bbox_roi_extractor, head.bbox_head)


def mask_stages(detector: BaseDetector) -> tuple[RoiStage, ...]:
    """Return the mask stages of a two-stage detector, one or those of a cascade."""
    head = roi_head(detector)
    if not head.with_mask:
        raise AbsentError(f"{type(detector).__name__} has no mask head")
    if type(head)._mask_forward not in (StandardRoIHead._mask_forward, CascadeRoIHead._mask_forward):
        raise AbsentError(f"{type(head).__name__} asks its mask head in a way that is not known here")
    if getattr(head, "share_roi_extractor", False):
        raise AbsentError(f"{type(detector).__name__}'s mask head shares the box head's features")
    return _stages(head.mask_roi_extractor, head.mask_head)


def _check_plain(head: Any) -> None:
    """Refuse second stages that ask or read their box head in a way of their own."""
    if type(head)._bbox_forward not in (StandardRoIHead._bbox_forward, CascadeRoIHead._bbox_forward):
        raise AbsentError(f"{type(head).__name__} asks its box head in a way that is not known here")
    stages = head.bbox_head if isinstance(head.bbox_head, nn.ModuleList) else [head.bbox_head]
    for box in stages:
        if isinstance(box, SABLHead) or not (box.with_cls and box.with_reg):
            raise AbsentError(f"{type(box).__name__} says its boxes in a way that is not known here")


def _stages(extractor: Any, head: Any) -> tuple[RoiStage, ...]:
    if isinstance(head, nn.ModuleList):
        return tuple(RoiStage(e, h) for e, h in zip(extractor, head, strict=True))
    return (RoiStage(extractor, head),)


def num_classes(detector: BaseDetector) -> int | None:
    """Return how many classes the detector tells apart, or None if its heads do not say."""
    head = getattr(detector, "bbox_head", None)
    if head is None:
        head = getattr(getattr(detector, "roi_head", None), "bbox_head", None)
    if isinstance(head, nn.ModuleList):  # a cascade: the stages agree
        head = head[0]
    return getattr(head, "num_classes", None)


def module_at(detector: BaseDetector, path: str) -> nn.Module:
    """Return the module at a dotted path, such as ``backbone.layer3``.

    Raises:
        AbsentError: there is none; names the nearest.
    """
    modules = dict(detector.named_modules())
    if path not in modules or not path:
        raise AbsentError(f"{type(detector).__name__} has no module {path!r}{nearest(path, list(modules))}")
    return modules[path]
