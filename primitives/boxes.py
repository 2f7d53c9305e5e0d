"""Boxes as corner and sides, and in units of the teacher's box.

Two corners in the wrong order are swapped: what they span is the box.
"""

import torch
from torch import Tensor

from detkds_gp.language import Boxes, Rows, pair_transform

MIN_SIDE = 1.0  # pixels


def corner_and_sides(boxes: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Return the upper left corner of boxes and their sides.

    Args:
        boxes: (M, 4), pixels, two opposite corners each.
        least: pixels; a shorter side counts as so long.

    Returns:
        (M, 2) and (M, 2), pixels.
    """
    low, high = torch.minimum(boxes[:, :2], boxes[:, 2:]), torch.maximum(boxes[:, :2], boxes[:, 2:])
    return low, (high - low).clamp_min(least)


@pair_transform(Boxes, Rows, shape="m d -> m 4", latex=r"\Delta(#1)")
def box_offsets(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Write boxes as centre and log sides, measured by the teacher's box.

    The sides differ by (dx / w, dy / h, log w ratio, log h ratio), the offsets that detectors
    regress; sides count as 1 pixel at least. The teacher's row is (1/2, 1/2, 0, 0), its centre seen
    from its corner, since a norm of a row beside one of zeros would have no gradient.
    Source: R-CNN (CVPR 2014), appendix C.
    """
    (corner, sides), (other, unit) = (corner_and_sides(boxes, MIN_SIDE) for boxes in (student, teacher))
    shift = (corner - other + (sides - unit) / 2) / unit
    home = teacher.new_tensor([0.5, 0.5, 0.0, 0.0]).expand(len(teacher), 4)
    return home + torch.cat([shift, sides.log() - unit.log()], dim=1), home
