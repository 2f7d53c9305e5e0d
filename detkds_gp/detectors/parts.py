"""Names the parts of mmdet's detectors, and says in words what a detector does not have."""

from __future__ import annotations

from typing import Any

from mmdet.models.dense_heads import RPNHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors.base import BaseDetector
from torch import nn

from detkds_gp.errors import nearest


class AbsentError(Exception):
    """A detector does not have an output, or a pair does not share a knowledge; the message says why."""


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


def prior_generator(head: Any) -> Any:
    """Return what places a head's priors; SABL's calls them squares. Raises AbsentError if it has none."""
    if not has_priors(head):
        raise AbsentError(f"{type(head).__name__} has no priors, whose strides and anchors would place its maps")
    return head.prior_generator if hasattr(head, "prior_generator") else head.square_anchor_generator


def has_priors(head: Any) -> bool:
    """Whether a head has priors."""
    return hasattr(head, "prior_generator") or hasattr(head, "square_anchor_generator")


def num_classes(detector: BaseDetector) -> int | None:
    """Return how many classes the detector tells apart, or None if its heads do not say."""
    regions = getattr(detector, "roi_head", None)
    places = (detector, "bbox_head"), (regions, "bbox_head"), (detector, "mask_head"), (detector, "panoptic_head")
    head = next((getattr(owner, name) for owner, name in places if getattr(owner, name, None) is not None), None)
    if isinstance(head, nn.ModuleList):  # a cascade: the stages agree
        head = head[0]
    return getattr(head, "num_classes", None)


def picked_queries(detector: BaseDetector) -> int:
    """Return how many positions of its maps a detector picks its queries from at least; 0 where it learns them."""
    return int(detector.num_queries) if getattr(detector, "as_two_stage", False) else 0


def module_at(detector: BaseDetector, path: str) -> nn.Module:
    """Return the module at a dotted path, such as ``backbone.layer3``; raises AbsentError, which names the nearest."""
    modules = dict(detector.named_modules())
    if path not in modules or not path:
        raise AbsentError(f"{type(detector).__name__} has no module {path!r}{nearest(path, list(modules))}")
    return modules[path]
