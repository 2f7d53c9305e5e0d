"""What a head on the neck's maps predicts beside boxes: class logits as it gives them, objectness, bins of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.models.dense_heads import GFLHead, TOODHead, YOLOXHead
from torch import Tensor

from ..parts import AbsentError, prior_generator

LOGIT_LIMIT = 1e-6
"""Probabilities are kept this far from 0 and 1 before they become logits."""


def read_class_maps(head: Any, outputs: Any) -> list[Tensor]:
    """Return the class logits (N, A K, H, W) of every level, before sigmoid or softmax; channel ``a K + k``.

    Dense heads give them first, in train and in eval mode. A softmax head has one class more, the background, last.
    TOOD gives probabilities; what is returned are their logits.

    Raises:
        AbsentError: the head gives no maps of classes.
    """
    wanted = [anchors * head.cls_out_channels for anchors in _anchors_per_location(head)]
    maps = outputs[0] if isinstance(outputs, (tuple, list)) and outputs else None
    maps = maps if isinstance(maps, (tuple, list)) else []
    if [level.shape[1] if isinstance(level, Tensor) and level.ndim == 4 else None for level in maps] != wanted:
        raise AbsentError(f"{type(head).__name__} offers no class map")
    levels = [level.float() for level in maps]
    return [level.logit(LOGIT_LIMIT) for level in levels] if isinstance(head, TOODHead) else levels


def _anchors_per_location(head: Any) -> list[int]:
    if not hasattr(head, "cls_out_channels"):
        raise AbsentError(f"{type(head).__name__} offers no class map")
    return list(prior_generator(head).num_base_priors)


def read_object_maps(head: Any, outputs: Sequence[Any]) -> list[Tensor]:
    """Return the logits (N, 1, H, W) of the objectness that a head multiplies its class probabilities by.

    Raises:
        AbsentError: the head has none.
    """
    if not isinstance(head, YOLOXHead):
        raise AbsentError(f"{type(head).__name__} predicts no objectness beside its classes")
    return [level.float() for level in outputs[2]]


def read_bin_maps(head: Any, outputs: Sequence[Any]) -> list[Tensor]:
    """Return the logits of the distributions that a GFL head predicts: (N, 4 (n + 1), H, W) a level.

    Raises:
        AbsentError: the head predicts numbers, no distributions.
    """
    if not isinstance(head, GFLHead):
        raise AbsentError(f"{type(head).__name__} predicts boxes as numbers, not as distributions")
    return [level.float() for level in outputs[1]]
