"""Distances of boxes: 1 - IoU and 1 - GIoU, averaged over rows.

They are computed where the teacher's box is the unit square: IoU and GIoU do not change when both
boxes are moved and stretched alike, and no area to divide by lies below 1. A side counts as 1/1000
pixel at least, so that a box without area has distance 0 from itself and no other.
"""

import torch
from torch import Tensor

from detkds_gp.language import Boxes, RowField, distance
from detkds_gp.primitives.boxes import corner_and_sides
from detkds_gp.primitives.row_weights import weighted_mean

MIN_SIDE = 1e-3  # pixels
FAR = 1e9  # teacher's sides; what lies beyond would overflow when multiplied


def _mean(x: Tensor) -> Tensor:
    return x.mean() if x.numel() else x.sum()


def _corners(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return the student's two corners, (M, 2) each, where the teacher's are 0 and 1."""
    corner, sides = corner_and_sides(student, MIN_SIDE)
    origin, unit = corner_and_sides(teacher, MIN_SIDE)
    low = ((corner - origin) / unit).clamp(-FAR, FAR)
    return low, low + (sides / unit).clamp_max(FAR)


def _overlap(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return intersection and union with the unit square, (M,) each."""
    intersection = (high.clamp_max(1) - low.clamp_min(0)).clamp_min(0).prod(dim=1)
    return intersection, (high - low).prod(dim=1) + 1 - intersection


def _iou_gaps(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 - IoU of every row, (M,), in [0, 1]."""
    intersection, union = _overlap(*_corners(student, teacher))
    return 1 - intersection / union


def _giou_gaps(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 - GIoU of every row, (M,), in [0, 2]."""
    low, high = _corners(student, teacher)
    intersection, union = _overlap(low, high)
    enclosing = (high.clamp_min(1) - low.clamp_max(0)).prod(dim=1)
    return 1 - intersection / union + torch.relu(enclosing - union) / enclosing


@distance(Boxes, latex=r"1 - \mathrm{IoU}(#1)")
def iou(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus intersection over union, averaged over boxes.

    The gradient reaches the student where its box overlaps the teacher's.
    """
    return _mean(_iou_gaps(student, teacher))


@distance(Boxes, latex=r"1 - \mathrm{GIoU}(#1)")
def giou(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus generalized intersection over union, averaged over boxes.

    It grows with the gap between boxes that do not overlap. Source: GIoU (CVPR 2019).
    """
    return _mean(_giou_gaps(student, teacher))


@distance((Boxes, RowField), latex=r"1 - \mathrm{IoU}_{#2}(#1)")
def weighted_iou(student: Tensor, teacher: Tensor, field: Tensor) -> Tensor:
    """One minus intersection over union, averaged over boxes with the weights of a field."""
    return weighted_mean(_iou_gaps(student, teacher), field)


@distance((Boxes, RowField), latex=r"1 - \mathrm{GIoU}_{#2}(#1)")
def weighted_giou(student: Tensor, teacher: Tensor, field: Tensor) -> Tensor:
    """One minus generalized intersection over union, averaged with the weights of a field."""
    return weighted_mean(_giou_gaps(student, teacher), field)
