"""What a head on the neck's maps predicts: class logits as it gives them, boxes in one canonical form, their bins.

A box map is (N, 4 A, H, W): the distances left, top, right, bottom of every location and anchor from the
location's centre, ((x + 1/2) stride, (y + 1/2) stride), in strides. It does not depend on the head's kind, nor on
its train or eval mode, and stays small numbers, so that it can be kept at half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import (
    AnchorHead,
    DDODHead,
    FCOSHead,
    GFLHead,
    RepPointsHead,
    SABLRetinaHead,
    TOODHead,
    VFNetHead,
)
from torch import Tensor

from ..parts import AbsentError
from ..scene import location_centres

PROBABILITY_HEADS = ("TOODHead",)
"""Heads whose first output went through a sigmoid already: their logits cannot be had from it."""

UNREADABLE = (VFNetHead, SABLRetinaHead, TOODHead, DDODHead)
"""Heads that predict their boxes in another form than the heads they derive from."""


def read_class_maps(head: Any, outputs: Any) -> list[Tensor]:
    """Return the class logits (N, A K, H, W) of every level, before sigmoid or softmax; channel ``a K + k``.

    Dense heads give them first, in train and in eval mode. A softmax head has one class more, the background, last.

    Raises:
        AbsentError: the head gives probabilities, or no maps of classes.
    """
    if type(head).__name__ in PROBABILITY_HEADS:
        raise AbsentError(f"{type(head).__name__} gives probabilities, not logits")
    wanted = [anchors * head.cls_out_channels for anchors in _anchors_per_location(head)]
    maps = outputs[0] if isinstance(outputs, (tuple, list)) and outputs else None
    maps = maps if isinstance(maps, (tuple, list)) else []
    if [level.shape[1] if isinstance(level, Tensor) and level.ndim == 4 else None for level in maps] != wanted:
        raise AbsentError(f"{type(head).__name__} offers no class map")
    return [level.float() for level in maps]


def _anchors_per_location(head: Any) -> list[int]:
    generator = getattr(head, "prior_generator", None)
    if generator is None or not hasattr(head, "cls_out_channels"):
        raise AbsentError(f"{type(head).__name__} offers no class map")
    return list(generator.num_base_priors)


def read_box_maps(head: Any, outputs: Sequence[Any], training: bool) -> list[Tensor]:
    """Return the box map of every level.

    Args:
        head: the dense head or region proposal network.
        outputs: what its forward returned: by kind of output, a list with one tensor a level.
        training: whether the head was in train mode, in which some heads predict in other units.

    Raises:
        AbsentError: the head predicts its boxes in a form that is not known here.
    """
    if isinstance(head, UNREADABLE) or not isinstance(head, (AnchorHead, FCOSHead, RepPointsHead)):
        raise AbsentError(f"{type(head).__name__} predicts its boxes in a form that is not known here")
    if isinstance(head, RepPointsHead):
        offsets = outputs[2] if training else outputs[1]
        levels = [head.points2bbox(level) if training else level for level in offsets]
        return [_about_centre(head, level, x) for level, x in enumerate(levels)]
    return [_decoded(head, level, x, training) for level, x in enumerate(outputs[1])]


def read_bin_maps(head: Any, outputs: Sequence[Any]) -> list[Tensor]:
    """Return the logits of the distributions that a GFL head predicts: (N, 4 (n + 1), H, W) a level.

    Raises:
        AbsentError: the head predicts numbers, no distributions.
    """
    if not isinstance(head, GFLHead) or isinstance(head, UNREADABLE):
        raise AbsentError(f"{type(head).__name__} predicts boxes as numbers, not as distributions")
    return [level.float() for level in outputs[1]]


def box_rows(box_map: Tensor, stride: int) -> Tensor:
    """Decode a box map without clipping.

    Args:
        box_map: (N, 4 A, H, W), in strides.
        stride: pixels between two locations.

    Returns:
        (N H W A, 4) as x1, y1, x2, y2 in input pixels; row ``((n H + h) W + w) A + a``.
    """
    n, _, h, w = box_map.shape
    centres = location_centres(h, w, stride, box_map).flatten(0, 1)  # (H W, 2)
    distances = box_map.permute(0, 2, 3, 1).reshape(n, h * w, -1, 4) * stride
    centres = centres[None, :, None, :]
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1).reshape(-1, 4)


def _decoded(head: Any, level: int, prediction: Tensor, training: bool) -> Tensor:
    """Return the box map of a head whose coder decodes its predictions about priors."""
    prediction = prediction.float()
    n, _, h, w = prediction.shape
    stride = _stride(head, level)
    priors = head.prior_generator.single_level_grid_priors((h, w), level, device=prediction.device)
    rows = prediction.permute(0, 2, 3, 1)
    if isinstance(head, GFLHead):
        return _ltrb_map(rows.new_tensor(_centre_offset(priors, stride)), _integral(head, rows), (n, h, w))
    rows = rows.reshape(n, -1, 4)
    if isinstance(head, FCOSHead) and head.norm_on_bbox and training:
        rows = rows * stride
    if len(priors) != rows.shape[1]:
        raise AbsentError(f"{type(head).__name__} gives {rows.shape[1]} boxes for {len(priors)} priors")
    priors = priors.float()
    boxes = head.bbox_coder.decode(priors.repeat(n, 1), rows.reshape(-1, 4)).reshape(n, h, w, -1, 4)
    centres = location_centres(h, w, stride, prediction)[None, :, :, None, :]
    distances = torch.cat([centres - boxes[..., :2], boxes[..., 2:] - centres], dim=-1) / stride
    return distances.reshape(n, h, w, -1).permute(0, 3, 1, 2)


def _integral(head: Any, rows: Tensor) -> Tensor:
    """Return the expected distances (M, 4) of a GFL head, in strides."""
    return head.integral(rows.reshape(-1, 4 * (head.reg_max + 1)))


def _ltrb_map(offset: Tensor, distances: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Move distances (N H W, 4) about priors to distances about centres, as a map."""
    shift = torch.cat([-offset, offset])
    return (distances + shift).reshape(*size, 4).permute(0, 3, 1, 2)


def _about_centre(head: Any, level: int, offsets: Tensor) -> Tensor:
    """Turn x1, y1, x2, y2 about RepPoints' points, in strides, to distances about centres."""
    offsets = offsets.float()
    stride = _stride(head, level)
    points = head.prior_generator.single_level_grid_priors((1, 1), level, device=offsets.device, with_stride=False)
    dx, dy = _centre_offset(points, stride)
    shift = offsets.new_tensor([-dx, -dy, dx, dy])[None, :, None, None]
    sign = offsets.new_tensor([-1.0, -1.0, 1.0, 1.0])[None, :, None, None]
    return offsets * sign + shift


def _centre_offset(priors: Tensor, stride: int) -> tuple[float, float]:
    """Return where the first prior stands from the first location's centre, (x, y) in strides."""
    first = priors[0].float()
    x, y = first[:2] if len(first) == 2 else (first[:2] + first[2:]) / 2
    return float(x) / stride - 0.5, float(y) / stride - 0.5


def _stride(head: Any, level: int) -> int:
    return int(head.prior_generator.strides[level][0])
