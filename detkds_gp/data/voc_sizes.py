"""The scale of Pascal VOC boxes: what the size in an XML file says beside the size of its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Verdict = Literal["as stated", "unstated", "scaled", "kept", "refused"]

SLACK = 0.02
"""How far over an edge, in sides of the image, a box may reach that still counts as inside."""
ROUNDED = 2
"""Pixels by which a stated size may be off without saying that the image was resized."""


class Scale(NamedTuple):
    """How a file's boxes become those of its image.

    Attributes:
        factor: of x and of y.
        verdict: ``scaled``: the image was resized after it was annotated; ``kept``: the stated size is wrong, for the
            boxes fit the image; ``unstated``: there is none; ``refused``: no telling where the boxes are.
    """

    factor: tuple[float, float]
    verdict: Verdict


def scale_of(
    stated: tuple[int, int] | None, size: tuple[int, int], corners: Sequence[np.ndarray], *, turned: bool = False
) -> Scale:
    """Decide at which scale the boxes of a file are.

    Args:
        stated: width and height in the file; None if it gives no positive numbers.
        size: width and height of the image, its EXIF orientation applied.
        corners: (4,) xmin, ymin, xmax, ymax of each object.
        turned: whether the image is stored in the stated size, and its EXIF orientation exchanges the sides.
    """
    one = (1.0, 1.0)
    if stated is None or stated == size:
        return Scale(one, "unstated" if stated is None else "as stated")
    boxes = np.array(corners).reshape(-1, 4)
    if turned:
        return Scale(one, "refused")  # annotated on the stored pixels, perhaps: mmdet and OpenCV turn them
    if np.abs(np.subtract(stated, size)).max() <= ROUNDED:
        return Scale(one, "kept")
    if _same_ratio(stated, size) and _inside(boxes, stated):
        return Scale((size[0] / stated[0], size[1] / stated[1]), "scaled")
    exchanged = stated == size[::-1]  # a fault of many scripts
    fits = _inside(boxes, size) and (exchanged or not _inside(boxes, stated))
    return Scale(one, "kept" if fits else "refused")


def _same_ratio(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether one size is the other times some factor, each side rounded up or down."""
    low, high = (np.add(other, off) / one for off in (-1, 1))
    return bool(low.max() <= high.min())


def _inside(boxes: np.ndarray, size: tuple[int, int]) -> bool:
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    slack = 1 + SLACK * np.array(size)
    return bool((low >= -slack).all() and (high <= size + slack).all())
