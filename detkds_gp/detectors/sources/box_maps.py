"""Boxes that a head on the neck's maps predicts, in one canonical form, held against the head's own prediction.

A box map is (N, 4 A, H, W): the distances left, top, right, bottom of every location and anchor from the
location's centre, ((x + 1/2) stride, (y + 1/2) stride), in strides. It does not depend on the head's kind, nor on
its train or eval mode, and stays small numbers, so that it can be kept at half precision. The stride is the head's
own, which need not be a whole number.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import (
    AnchorHead,
    CenterNetUpdateHead,
    FCOSHead,
    FoveaHead,
    GFLHead,
    GuidedAnchorHead,
    PAAHead,
    RepPointsHead,
    SABLRetinaHead,
    TOODHead,
    VFNetHead,
    YOLOXHead,
)
from torch import Tensor

from detkds_gp.errors import first_line

from ..modes import evaluating
from ..parts import AbsentError, prior_generator
from ..scene import location_centres

PIXEL = 1.0
"""How far a decoded box may be from the head's own prediction."""

COMPARED = 100
"""Boxes of a prediction, and of each of its levels, that are compared."""

Decode = Callable[[Any, int, Any, bool], Tensor]
"""From (head, level, what it predicts there, train mode) to boxes (N, H W A, 4) in input pixels."""


def prior_strides(head: Any) -> tuple[float, ...]:
    """Return the exact input pixels between two locations of every level."""
    return tuple(float(stride[0]) for stride in prior_generator(head).strides)


def read_box_maps(head: Any, outputs: Sequence[Any], training: bool) -> list[Tensor]:
    """Return the box map of every level.

    Args:
        head: the dense head or region proposal network.
        outputs: what its forward returned: by kind of output, a list with one tensor a level.
        training: whether the head was in train mode, in which some heads predict in other units.

    Raises:
        AbsentError: the head predicts its boxes in a form that is not known here.
    """
    if isinstance(head, GuidedAnchorHead):
        raise AbsentError(f"{type(head).__name__} predicts its anchors too: locations have none that both sides share")
    decode = next((decode for kind, decode in DECODERS.items() if isinstance(head, kind)), None)
    if decode is None:
        raise AbsentError(f"{type(head).__name__} predicts its boxes in a form that is not known here")
    refined = isinstance(head, (RepPointsHead, VFNetHead)) and training  # these give what they refine first
    levels = outputs[2] if refined else outputs[1]
    return [_box_map(head, level, x, decode(head, level, x, training)) for level, x in enumerate(levels)]


def _box_map(head: Any, level: int, prediction: Any, boxes: Tensor) -> Tensor:
    """Write boxes (N, H W A, 4) as the map of a level."""
    like = prediction[0] if isinstance(prediction, tuple) else prediction
    n, _, h, w = like.shape
    if boxes.shape[1] % (h * w):
        raise AbsentError(f"{type(head).__name__} gives {boxes.shape[1]} boxes for {h * w} locations")
    stride = prior_strides(head)[level]
    centres = location_centres(h, w, stride, boxes)[None, :, :, None, :]
    boxes = boxes.reshape(n, h, w, -1, 4)
    distances = torch.cat([centres - boxes[..., :2], boxes[..., 2:] - centres], dim=-1) / stride
    return distances.reshape(n, h, w, -1).permute(0, 3, 1, 2)


def box_rows(box_map: Tensor, stride: float) -> Tensor:
    """Decode a box map (N, 4 A, H, W) without clipping; the stride is that of `prior_strides`.

    Returns:
        (N H W A, 4) as x1, y1, x2, y2 in input pixels; row ``((n H + h) W + w) A + a``.
    """
    n, _, h, w = box_map.shape
    centres = location_centres(h, w, stride, box_map).flatten(0, 1)  # (H W, 2)
    distances = box_map.permute(0, 2, 3, 1).reshape(n, h * w, -1, 4) * stride
    centres = centres[None, :, None, :]
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1).reshape(-1, 4)


def _rows(prediction: Tensor) -> Tensor:
    """Write (N, 4 A, H, W) as (N, H W A, 4)."""
    return _columns(prediction, 4).reshape(len(prediction), -1, 4)


def _columns(prediction: Tensor, width: int) -> Tensor:
    """Write (N, D A, H, W) as rows (N H W A, D)."""
    return prediction.float().permute(0, 2, 3, 1).reshape(-1, width).contiguous()


def _priors(head: Any, level: int, like: Tensor, **options: Any) -> Tensor:
    """Return the priors of a level: anchors (M, 4), or points (M, 2)."""
    size = (like.shape[2], like.shape[3])
    return prior_generator(head).single_level_grid_priors(size, level, device=like.device, **options).float()


def _about_priors(head: Any, level: int, prediction: Tensor, training: bool) -> Tensor:
    """Decode by the head's coder; some heads predict in strides while they train."""
    rows, priors = _rows(prediction), _priors(head, level, prediction)
    in_strides = isinstance(head, CenterNetUpdateHead) or getattr(head, "norm_on_bbox", False)
    if in_strides and training:
        rows = rows * prior_strides(head)[level]
    if len(priors) != rows.shape[1]:
        raise AbsentError(f"{type(head).__name__} gives {rows.shape[1]} boxes for {len(priors)} priors")
    return head.bbox_coder.decode(priors.repeat(len(rows), 1), rows.reshape(-1, 4)).reshape(rows.shape)


def _of_distributions(head: Any, level: int, prediction: Tensor, training: bool) -> Tensor:
    """Decode the expected distances of a GFL head, which are in strides."""
    logits = _columns(prediction, 4 * (head.reg_max + 1))
    points = head.anchor_center(_priors(head, level, prediction)).repeat(len(prediction), 1)
    boxes = head.bbox_coder.decode(points, head.integral(logits) * prior_strides(head)[level])
    return boxes.reshape(len(prediction), -1, 4)


def _of_points(head: Any, level: int, prediction: Tensor, training: bool) -> Tensor:
    """Place RepPoints' boxes, which are about their points and in strides; in train mode they are points still."""
    offsets = _rows(head.points2bbox(prediction.float()) if training else prediction)
    points = _priors(head, level, prediction, with_stride=False)
    return offsets * prior_strides(head)[level] + torch.cat([points, points], dim=1)


def _of_yolox(head: Any, level: int, prediction: Tensor, training: bool) -> Tensor:
    """Place centres by strides about the priors, sides as exponents."""
    return head._bbox_decode(_priors(head, level, prediction, with_stride=True), _rows(prediction))


def _of_fovea(head: Any, level: int, prediction: Tensor, training: bool) -> Tensor:
    """Place exponents of distances in the base length of a level; the head's own decoder clips."""
    points, distances = _priors(head, level, prediction), _rows(prediction).exp() * head.base_edge_list[level]
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def _in_strides(head: Any, level: int, prediction: Tensor, training: bool) -> Tensor:
    """Scale TOOD's boxes, which are decoded already."""
    return _rows(prediction) * prior_strides(head)[level]


def _in_buckets(head: Any, level: int, prediction: tuple[Tensor, Tensor], training: bool) -> Tensor:
    """Decode SABL's buckets about the square of a location."""
    buckets, offsets = (_columns(x, 4 * head.side_num) for x in prediction)
    squares, count = _priors(head, level, prediction[0]), len(prediction[0])
    boxes, _ = head.bbox_coder.decode(squares.repeat(count, 1), [buckets, offsets])
    return boxes.reshape(count, -1, 4)


DECODERS: dict[type, Decode] = {
    GFLHead: _of_distributions,
    RepPointsHead: _of_points,
    YOLOXHead: _of_yolox,
    FoveaHead: _of_fovea,
    TOODHead: _in_strides,
    SABLRetinaHead: _in_buckets,
    AnchorHead: _about_priors,
    FCOSHead: _about_priors,
    CenterNetUpdateHead: _about_priors,
}
"""By kind of head; the first that fits."""


def check_boxes(head: Any, maps: Sequence[Tensor], size: tuple[int, int]) -> None:
    """Hold the boxes decoded on the maps of one image, of a padded (height, width), against the head's own prediction.

    Raises:
        AbsentError: they differ by more than a pixel, or the head's own prediction cannot be had.
    """
    name = type(head).__name__
    with evaluating(head):
        outputs = head(tuple(maps))
        decoded = [
            box_rows(x, s) for x, s in zip(read_box_maps(head, outputs, False), prior_strides(head), strict=True)
        ]
        try:
            predicted = _predicted(head, outputs, size)
        except Exception as error:  # whatever a head of another form makes of it
            raise AbsentError(f"{name}'s own boxes cannot be had to compare with: {first_line(error)}") from error
        if not len(predicted):
            return
        limits = predicted.new_tensor([size[1], size[0], size[1], size[0]])
        ours, theirs = (torch.minimum(boxes.clamp_min(0), limits) for boxes in (torch.cat(decoded), predicted))
        apart = float(torch.cdist(theirs, ours, p=torch.inf).amin(dim=1).amax())
    if not apart <= PIXEL + 1e-3:
        raise AbsentError(f"{name} places its boxes otherwise: those decoded here are up to {apart:.3g} pixels off")


def _predicted(head: Any, outputs: Sequence[Any], size: tuple[int, int]) -> Tensor:
    """Return boxes (M, 4) of the head's own prediction, whatever their score, in input pixels."""
    config = copy.deepcopy(head.test_cfg)
    config.update(score_thr=-1.0, nms_pre=COMPARED, max_per_img=COMPARED)
    if isinstance(head, PAAHead):
        head = copy.copy(head)
        head.with_score_voting = False  # it averages boxes that are predicted already
    meta = {"img_shape": size, "ori_shape": size, "pad_shape": size, "batch_input_shape": size, "scale_factor": (1, 1)}
    found = head.predict_by_feat(*outputs, batch_img_metas=[meta], cfg=config, rescale=False)
    return found[0].bboxes.float()[:COMPARED]
