"""A look at the pixels of some images of a split: whether they can be decoded, and whether anything is to be seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from detkds_gp.data.findings import Tally
from detkds_gp.data.split import CocoSplit, ImageRecord

LOOKED_AT = 16
"""Images of a split; decoding all of a large one takes minutes."""
DARK = 32
"""An image is nearly black if none of its values, of 255, reaches this."""


def spread(records: Sequence[ImageRecord], count: int) -> list[ImageRecord]:
    """Return so many records, evenly spread from the first to the last; all if there are fewer."""
    if len(records) <= count:
        return list(records)
    return [records[round(number * (len(records) - 1) / max(1, count - 1))] for number in range(count)]


def look_at_pixels(split: CocoSplit, tally: Tally) -> int:
    """Decode some images and count those that are nearly black or cannot be decoded; return how many were looked at.

    Images of more than 8 bits a channel are looked at first: cameras and scanners often fill a part of 16 bits only,
    and OpenCV sees the upper 8.
    """
    pairs = list(zip(split.images, split.files, strict=True))
    readable = [record for record, file in pairs if not file.header.unreadable]
    deep = {record.id for record, file in pairs if file.header.bits > 8 and not file.header.unreadable}
    chosen = spread([record for record in readable if record.id in deep] or readable, LOOKED_AT)
    stretched = False
    for record in chosen:
        pixels = _decoded(record.path, cv2.IMREAD_COLOR)
        if pixels is None:
            tally.add("broken_images", f"{record.path.name} cannot be decoded by OpenCV")
        elif pixels.max(initial=0) < DARK:
            stored = _stored(record.path)
            tally.add("dark", f"{record.path.name}: its brightest value is {pixels.max(initial=0)} of 255{stored}")
            stretched |= bool(stored)
    if stretched:
        tally.explain(
            "dark",
            "they use a few of their 16 bits, and only the upper 8 are seen; write them as 8 bits, scaled to 0..255",
        )
    return len(chosen)


def _stored(path: Path) -> str:
    """Say the brightest value of an image of more than 8 bits as the file has it; empty for one of 8."""
    pixels = _decoded(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None or pixels.dtype != np.uint16:
        return ""
    return f" (stored: {pixels.max():,} of {np.iinfo(pixels.dtype).max:,})"


def _decoded(path: Path, flags: int) -> np.ndarray | None:
    try:
        encoded = np.fromfile(path, np.uint8)
        return cv2.imdecode(encoded, flags) if encoded.size else None
    except (OSError, cv2.error):
        return None
