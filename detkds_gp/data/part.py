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
    and two that only touch share nothing. Entries of one image file stay together: shares are of files.

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
    if part == WHOLE:
        return list(images)
    names = sorted({_name(image) for image in images}, key=_lot)
    first, end = round(low * len(names)), round(high * len(names))
    chosen = set(names[first : max(end, first + 1)])
    return [image for image in images if _name(image) in chosen]


def _name(image: dict[str, Any]) -> str:
    return str(image["file_name"]).replace("\\", "/")


def _lot(name: str) -> tuple[bytes, str]:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest(), name
