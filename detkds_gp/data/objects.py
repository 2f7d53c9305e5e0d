"""Objects of an annotation file: boxes read as numbers, what is learned of them and what is not; masks, checked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from detkds_gp.data.annotation_file import flag, real_number
from detkds_gp.data.findings import Tally
from detkds_gp.data.image_files import NamedImage
from detkds_gp.data.split import Annotation, CocoSplit
from detkds_gp.errors import DataError

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""
PLAIN = frozenset((int, float))
SLACK = 1.0
"""Pixels that a box may reach out of its image before it is counted: rounding does not."""
LARGEST = 1e12
"""Pixels; beyond, the product of two sides loses its meaning."""
MANY = 0.05
"""The share of boxes that reach out from which on another meaning of their numbers is looked for."""
POINTS = 3  # of the smallest polygon


class BoxCheck:
    """Reads the annotations of a split, and looks at all its boxes together for another meaning of their numbers.

    The tally counts what was mended, what looks wrong, and what became of annotations.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._total = 0
        self._as_corners = self._as_centres = self._as_fractions = True

    def read(self, rows: Sequence[tuple[int, dict[str, Any]]], image: NamedImage) -> tuple[Annotation, ...]:
        """Return the annotations, given by label and entry, of which something is to be seen on their image.

        Raises:
            DataError: a box is not four finite numbers, or a flag says neither 0 nor 1.
        """
        found = [self._annotation(row, label, image) for label, row in rows]
        kept = tuple(annotation for annotation in found if annotation is not None)
        counts = Counter((a.label, a.bbox) for a in kept)
        if len(counts) < len(kept):
            twice = next(bbox for (_, bbox), count in counts.items() if count > 1)
            self._tally.add("repeated_boxes", _example(twice, image), len(kept) - len(counts))
        return kept

    def conclude(self) -> None:
        """Say what the numbers look like, once all boxes have been looked at."""
        out = self._tally["reaching_out"]
        if self._total and self._as_fractions:
            self._tally.add("fractions", "", self._total)
        if not out or out < MANY * self._total:
            return
        readings = {"x1, y1, x2, y2": self._as_corners, "centre x, centre y, width, height": self._as_centres}
        fitting = [reading for reading, fits in readings.items() if fits]
        if fitting:
            told = f"read as {' or as '.join(fitting)} all would fit, wanted x, y, width, height; convert them"
            self._tally.explain("reaching_out", told)

    def _annotation(self, row: dict[str, Any], label: int, image: NamedImage) -> Annotation | None:
        """Count what becomes of an annotation; return it unless nothing of it is to be seen."""
        bbox = x, y, w, h = self._bbox(row)
        annotation: Annotation | None = None
        fate = "no_area"
        if w > 0 and h > 0:
            self._look(bbox, image)
            area, crowd, ignore = self._area(row, w, h), self._flag(row, "iscrowd"), self._flag(row, "ignore")
            annotation = Annotation(label, bbox, area, crowd, ignore, without_slivers(row.get("segmentation")))
            if min(x + w, image.width) <= max(x, 0.0) or min(y + h, image.height) <= max(y, 0.0):
                annotation, fate = None, "outside"
            elif annotation.learned:
                fate = "learned"
            else:
                fate = "crowd" if crowd else "ignored" if ignore else "thin"
        self._tally.fates[fate] += 1
        if fate in ("no_area", "outside", "thin"):
            self._tally.add(fate, _example(bbox, image))
        return annotation

    def _look(self, bbox: Box, image: NamedImage) -> None:
        (x, y, w, h), right, bottom = bbox, image.width + SLACK, image.height + SLACK
        self._total += 1
        if x < -SLACK or y < -SLACK or x + w > right or y + h > bottom:
            self._tally.add("reaching_out", _example(bbox, image))
        self._as_corners &= 0 <= x < w <= right and 0 <= y < h <= bottom
        self._as_centres &= w / 2 - SLACK <= x <= right - w / 2 and h / 2 - SLACK <= y <= bottom - h / 2
        self._as_fractions &= max(bbox) <= 1 and min(bbox) >= 0

    def _bbox(self, row: dict[str, Any]) -> Box:
        given = row["bbox"]
        if type(given) is list and len(given) == 4 and PLAIN.issuperset(map(type, given)):
            x, y, w, h = given
            if abs(x) + abs(y) + abs(w) + abs(h) <= LARGEST:  # as of nearly all boxes, and of no NaN
                return float(x), float(y), float(w), float(h)
        read = [real_number(value) for value in given] if isinstance(given, (list, tuple)) else []
        numbers = [value for value in read if value is not None and abs(value) <= LARGEST]
        if not len(read) == len(numbers) == 4:
            where = f"annotation {row.get('id', '?')!r}"
            raise DataError(f"{where} has the box {given!r:.80}, wanted x, y, width, height, finite; mend it")
        if any(isinstance(value, str) for value in given):
            self._tally.add("numbers", f"bbox {given!r:.60}")
        x, y, w, h = numbers
        return x, y, w, h

    def _area(self, row: dict[str, Any], width: float, height: float) -> float:
        """Return the file's area, of a mask perhaps; one that no mask in the box has is replaced by the box's.

        Converters that count the last pixel of a box in write (width + 1) * (height + 1) at most.
        """
        given = row.get("area")
        area = real_number(given)
        if area is not None and 0 < area <= (width + 1) * (height + 1):
            if isinstance(given, str):
                self._tally.add("numbers", f"area {given!r:.40}")
            return area
        self._tally.add("areas", f"area {given!r:.40} of a box of {width:g}x{height:g}" if "area" in row else "no area")
        return width * height

    def _flag(self, row: dict[str, Any], key: str) -> bool:
        value = row.get(key, 0)
        if type(value) is int:
            return value != 0
        said = flag(value)
        if said is None:
            raise DataError(f"annotation {row.get('id', '?')!r} has {key} {value!r:.40}, wanted 0 or 1; mend it")
        self._tally.add("flags", f"{key} {value!r}")
        return said


def _example(bbox: Box, image: NamedImage) -> str:
    numbers = ", ".join(f"{value:g}" for value in bbox)
    return f"{image.name}: [{numbers}] in {image.width}x{image.height} pixels"


def without_slivers(segmentation: Any) -> Any:
    """Leave out the polygons that enclose nothing, of fewer than 3 points or an odd count of numbers, as mmdet does.

    Returns None if nothing is left, and what is no list of polygons as it is. See mmdet's ``LoadAnnotations``.
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
    for record in split.images:
        for found in record.annotations:
            if found.learned or not learned_only:
                total += 1
                if fault := _fault(found.segmentation, [record.height, record.width]):
                    faults.append(f"the first a {split.classes[found.label]!r} in {record.path.name}: {fault}")
    if faults:
        raise DataError(
            f"{split.ann_file}: {len(faults)} of {total} objects have no usable segmentation, {faults[0]}; "
            f"wanted polygons or RLE; label masks, or {remedy}"
        )


def _fault(segmentation: Any, size: list[int]) -> str:
    """Say what keeps a segmentation from being drawn on an image of (height, width); empty where nothing does."""
    if not segmentation:
        return "got none"
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        if list(segmentation.get("size") or ()) != size:
            return f"got RLE of size {segmentation.get('size')}, the image has {size} (height, width)"
        if isinstance(counts, list):
            whole = all(isinstance(run, int) and run >= 0 for run in counts) and sum(counts) == size[0] * size[1]
            return "" if whole else "got RLE whose counts do not add up to the image"
        return "" if counts and isinstance(counts, str) else f"got RLE with the counts {counts!r:.40}"
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        return f"got {segmentation!r:.60}"
    finite = all(isinstance(x, (int, float)) and math.isfinite(x) for x in chain.from_iterable(segmentation))
    return "" if finite else "got a polygon with a coordinate that is no finite number"
