"""Says before a training which objects of a split have no mask to learn or to be scored on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from detkds_gp.errors import DataError

if TYPE_CHECKING:
    from detkds_gp.data.coco import CocoSplit

POINTS = 3  # of the smallest polygon


def without_slivers(segmentation: Any) -> Any:
    """Leave out the polygons that enclose nothing: of fewer than 3 points or an odd count of numbers.

    Args:
        segmentation: as in the file.

    Returns:
        What mmdet's ``LoadAnnotations`` trains on; None if nothing is left; what is no list of polygons as it is.
    """
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        return segmentation
    return [p for p in segmentation if len(p) >= 2 * POINTS and len(p) % 2 == 0] or None


def check_segmentations(split: CocoSplit, remedy: str, *, learned_only: bool) -> None:
    """Check that objects have the masks that a training or an evaluation needs.

    The size and the form of every segmentation are checked; the pixels of a compressed RLE are not decoded.

    Args:
        split: the images and objects.
        remedy: what else the user can do than to label masks.
        learned_only: leave out what training does not see: crowds, ignored and degenerate objects.

    Raises:
        DataError: an object without a mask, or with a broken one.
    """
    total, faults = 0, []
    for name, label, segmentation, size in _objects(split, learned_only):
        total += 1
        fault = _fault(segmentation, size)
        if fault is not None:
            faults.append(f"the first a {split.classes[label]!r} in {name}: {fault}")
    if faults:
        raise DataError(
            f"{split.ann_file}: {len(faults)} of {total} objects have no usable segmentation, {faults[0]}; "
            f"wanted polygons or RLE; label masks, or {remedy}"
        )


def _objects(split: CocoSplit, learned_only: bool) -> Iterator[tuple[str, int, Any, list[int]]]:
    """Yield image name, label, segmentation and image size of every object."""
    for record in split.images:
        size = [record.height, record.width]
        learned = list(zip(record.labels.tolist(), record.masks, strict=True))
        every = [(a.label, a.segmentation) for a in record.annotations]
        for label, segmentation in learned if learned_only else every:
            yield record.path.name, label, segmentation, size


def _fault(segmentation: Any, size: list[int]) -> str | None:
    """Say in words what keeps a segmentation from being drawn, or None."""
    if not segmentation:
        return "got none"
    if isinstance(segmentation, dict):
        return _rle_fault(segmentation, size)
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        return f"got {segmentation!r:.60}"
    finite = all(isinstance(x, (int, float)) and math.isfinite(x) for x in chain.from_iterable(segmentation))
    return None if finite else "got a polygon with a coordinate that is no finite number"


def _rle_fault(rle: dict[str, Any], size: list[int]) -> str | None:
    counts = rle.get("counts")
    if list(rle.get("size") or ()) != size:
        return f"got RLE of size {rle.get('size')}, the image has {size} (height, width)"
    if isinstance(counts, list):
        whole = all(isinstance(run, int) and run >= 0 for run in counts) and sum(counts) == size[0] * size[1]
        return None if whole else "got RLE whose counts do not add up to the image"
    return None if counts and isinstance(counts, str) else f"got RLE with the counts {counts!r:.40}"
