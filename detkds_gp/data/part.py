"""A part of a split's images that stays the same wherever and however the data set is written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

Part = tuple[float, float]
"""From which to which share of a split's images, in [0, 1]; parts that do not overlap share no image."""

WHOLE: Part = (0.0, 1.0)


def part_of(images: Sequence[dict[str, Any]], part: Part) -> list[dict[str, Any]]:
    """Choose images by the hash of their names, as if by lot, but without a seed.

    The choice depends neither on the order of the images nor on their ids; a wider part holds a narrower one,
    and two that only touch share nothing.

    Args:
        images: entries of an annotation file, with ``file_name`` and ``id``.
        part: from which to which share of them; (0, 1) takes all.

    Returns:
        the images of that part, 1 at least, in their order.

    Raises:
        ValueError: the part is out of range or empty.
    """
    low, high = part
    if not 0 <= low < high <= 1:
        raise ValueError(f"got the part {part} of the images, wanted two shares, 0 <= low < high <= 1")
    first, end = round(low * len(images)), round(high * len(images))
    drawn = sorted(images, key=_lot)[first : max(end, first + 1)] if part != WHOLE else images
    chosen = {image["id"] for image in drawn}
    return [image for image in images if image["id"] in chosen]


def _lot(image: dict[str, Any]) -> tuple[bytes, int]:
    return hashlib.sha256(str(image["file_name"]).encode()).digest(), image["id"]
