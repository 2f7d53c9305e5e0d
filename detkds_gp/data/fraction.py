"""A part of a split's images that stays the same wherever and however the data set is written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


def part_of(images: Sequence[dict[str, Any]], fraction: float) -> list[dict[str, Any]]:
    """Choose images by the hash of their names, as if by lot, but without a seed.

    The choice depends neither on the order of the images nor on their ids, and a larger fraction holds a
    smaller one.

    Args:
        images: entries of an annotation file, with ``file_name`` and ``id``.
        fraction: of the images, in (0, 1]; 1 takes all.

    Returns:
        ``fraction`` of the images, rounded, 1 at least, in their order.

    Raises:
        ValueError: the fraction is out of range.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"got a fraction of {fraction} of the images, wanted more than 0, 1 at most")
    if fraction == 1:
        return list(images)
    count = max(1, round(fraction * len(images)))
    chosen = {image["id"] for image in sorted(images, key=_lot)[:count]}
    return [image for image in images if image["id"] in chosen]


def _lot(image: dict[str, Any]) -> tuple[bytes, int]:
    return hashlib.sha256(str(image["file_name"]).encode()).digest(), image["id"]
