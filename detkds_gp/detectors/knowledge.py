"""What a detector knows: which module says it, and how its output is read.

A further knowledge is a further ``Source``; the taps, the check of a pair and the training take it
from ``SOURCES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

Knowledge = dict[str, list[Tensor]]
"""The tensors of one detector on one batch, float32, by knowledge name and pyramid level."""

PROBABILITY_HEADS = ("TOODHead",)
"""Heads whose first output went through a sigmoid already: their logits cannot be had from it."""


class AbsentError(Exception):
    """A detector does not offer a knowledge; the message says why."""


@dataclass(frozen=True)
class Source:
    """A place knowledge is taken from.

    Attributes:
        names: the knowledge it gives.
        module: the detector's module whose output is read; raises AbsentError if there is none.
        read: makes the knowledge of that module and its output; raises AbsentError if the output
            does not hold it.
    """

    names: tuple[str, ...]
    module: Callable[[BaseDetector], nn.Module]
    read: Callable[[nn.Module, Any], Knowledge]


def pyramid(detector: BaseDetector) -> nn.Module:
    """Return the neck, or the backbone of a detector without a neck."""
    module = detector.neck if detector.with_neck else getattr(detector, "backbone", None)
    if module is None:
        raise AbsentError(f"{type(detector).__name__} has neither neck nor backbone")
    return module


def dense_head(detector: BaseDetector) -> nn.Module:
    """Return the head of a one-stage detector."""
    head = getattr(detector, "bbox_head", None)
    if not isinstance(head, BaseDenseHead):
        raise AbsentError(f"{type(detector).__name__} has no dense head")
    return head


def num_classes(detector: BaseDetector) -> int | None:
    """Return how many classes the detector tells apart, or None if its heads do not say."""
    head = getattr(detector, "bbox_head", None)
    if head is None:
        head = getattr(getattr(detector, "roi_head", None), "bbox_head", None)
    if isinstance(head, nn.ModuleList):  # a cascade: the stages agree
        head = head[0]
    return getattr(head, "num_classes", None)


def anchors_per_location(head: nn.Module) -> list[int]:
    """Return the anchors (or points) a location has on each level."""
    generator = getattr(head, "prior_generator", None)
    if generator is None or not hasattr(head, "cls_out_channels"):
        raise AbsentError(f"{type(head).__name__} offers no class map")
    return list(generator.num_base_priors)


def class_rows(class_map: Tensor, width: int) -> Tensor:
    """Write a class map as rows, one for each location and anchor.

    Args:
        class_map: (N, A * width, H, W); channel ``a * width + k`` is class k of anchor a, as in
            mmdet.
        width: columns of a row.

    Returns:
        (N * H * W * A, width); row ``((n * H + h) * W + w) * A + a``.
    """
    return class_map.permute(0, 2, 3, 1).reshape(-1, width)


def _read_pyramid(module: nn.Module, output: Any) -> Knowledge:
    levels = [output] if isinstance(output, Tensor) else list(output)
    if not levels or not all(isinstance(level, Tensor) and level.ndim == 4 for level in levels):
        raise AbsentError(f"{type(module).__name__} gives no (N, C, H, W) maps")
    return {"global": [level.float() for level in levels]}


def _read_dense_head(head: nn.Module, output: Any) -> Knowledge:
    """Read the class maps: dense heads give them first, in train and in eval mode."""
    if type(head).__name__ in PROBABILITY_HEADS:
        raise AbsentError(f"{type(head).__name__} gives probabilities, not logits")
    anchors, width = anchors_per_location(head), int(cast("int", head.cls_out_channels))
    maps = output[0] if isinstance(output, (tuple, list)) and output else None
    maps = maps if isinstance(maps, (tuple, list)) else []
    if [_channels(level) for level in maps] != [a * width for a in anchors]:
        raise AbsentError(f"{type(head).__name__} offers no class map")
    class_map = [level.float() for level in maps]
    return {
        "class_map": class_map,
        "class_logits": [class_rows(level, width) for level in class_map],
    }


def _channels(level: Any) -> int | None:
    return level.shape[1] if isinstance(level, Tensor) and level.ndim == 4 else None


SOURCES = (
    Source(("global",), pyramid, _read_pyramid),
    Source(("class_map", "class_logits"), dense_head, _read_dense_head),
)
"""``global``: (N, C, H, W), the neck's maps. ``class_map``: (N, A * K, H, W), the class logits
before sigmoid or softmax. ``class_logits``: (N * H * W * A, K), the same as rows (see
``class_rows``). A softmax head has K + 1 columns, the background's last."""
