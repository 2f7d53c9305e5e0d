"""Boxes of an annotation file: read as numbers, sorted into what is learned and what is not, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detkds_gp.data.findings import Tally
from detkds_gp.data.image_files import NamedImage
from detkds_gp.data.numbers import flag, real_number
from detkds_gp.data.segmentations import without_slivers
from detkds_gp.data.split import Annotation
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


class BoxCheck:
    """Sorts the annotations of a split, and looks at all its boxes together for another meaning of their numbers.

    Args:
        tally: counts what was mended, and what looks wrong.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._total = 0
        self._as_corners = self._as_centres = self._as_fractions = True

    def sort(self, row: dict[str, Any], label: int, image: NamedImage) -> tuple[Annotation | None, str]:
        """Return an annotation, None where nothing is to be seen of it, and its fate in the words of `Account`.

        Args:
            row: of the file.
            label: of its class.
            image: that it is on.

        Raises:
            DataError: the box is not four finite numbers, or a flag says neither 0 nor 1.
        """
        bbox = _bbox(row, self._tally)
        if bbox[2] <= 0 or bbox[3] <= 0:
            self._tally.add("no_area", _example(bbox, image))
            return None, "no_area"
        self._look(bbox, image)
        annotation = _annotation(row, label, bbox, self._tally)
        fate = _fate(annotation, image)
        if fate in ("outside", "thin"):
            self._tally.add(fate, _example(bbox, image))
        return (None if fate == "outside" else annotation), fate

    def repeated(self, annotations: Sequence[Annotation], image: NamedImage) -> None:
        """Count the boxes of an image that stand twice."""
        kept = {(a.label, a.bbox) for a in annotations}
        if len(kept) < len(annotations):
            twice = next(a for a in annotations if sum((a.label, a.bbox) == (b.label, b.bbox) for b in annotations) > 1)
            self._tally.add("repeated_boxes", _example(twice.bbox, image), len(annotations) - len(kept))

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
            self._tally.explain(
                "reaching_out",
                f"read as {' or as '.join(fitting)} all would fit, wanted x, y, width, height; convert them",
            )

    def _look(self, bbox: Box, image: NamedImage) -> None:
        (x, y, w, h), right, bottom = bbox, image.width + SLACK, image.height + SLACK
        self._total += 1
        if x < -SLACK or y < -SLACK or x + w > right or y + h > bottom:
            self._tally.add("reaching_out", _example(bbox, image))
        self._as_corners &= 0 <= x < w <= right and 0 <= y < h <= bottom
        self._as_centres &= w / 2 - SLACK <= x <= right - w / 2 and h / 2 - SLACK <= y <= bottom - h / 2
        self._as_fractions &= max(bbox) <= 1 and min(bbox) >= 0


def _fate(annotation: Annotation, image: NamedImage) -> str:
    """Return what becomes of an annotation, in the words of `Account`."""
    x, y, w, h = annotation.bbox
    if min(x + w, image.width) <= max(x, 0.0) or min(y + h, image.height) <= max(y, 0.0):
        return "outside"
    if annotation.learned:
        return "learned"
    return "crowd" if annotation.crowd else "ignored" if annotation.ignore else "thin"


def _annotation(row: dict[str, Any], label: int, bbox: Box, tally: Tally) -> Annotation:
    return Annotation(
        label=label,
        bbox=bbox,
        area=_area(row, bbox[2], bbox[3], tally),
        crowd=_flag(row, "iscrowd", tally),
        ignore=_flag(row, "ignore", tally),
        segmentation=without_slivers(row.get("segmentation")),
    )


def _bbox(row: dict[str, Any], tally: Tally) -> Box:
    given = row["bbox"]
    if type(given) is list and len(given) == 4 and PLAIN.issuperset(map(type, given)):
        x, y, w, h = given
        if abs(x) + abs(y) + abs(w) + abs(h) <= LARGEST:  # as of nearly all boxes, and of no NaN
            return float(x), float(y), float(w), float(h)
    numbers = [real_number(value) for value in given] if isinstance(given, (list, tuple)) else []
    x, y, w, h = numbers if len(numbers) == 4 else (None,) * 4
    if x is None or y is None or w is None or h is None or max(map(abs, (x, y, w, h))) > LARGEST:
        where = f"annotation {row.get('id', '?')!r}"
        raise DataError(f"{where} has the box {given!r:.80}, wanted x, y, width, height, finite; mend it")
    if any(isinstance(value, str) for value in given):
        tally.add("numbers", f"bbox {given!r:.60}")
    return x, y, w, h


def _area(row: dict[str, Any], width: float, height: float, tally: Tally) -> float:
    """Return the file's area, of a mask perhaps; one that no mask in the box has is replaced by the box's.

    Converters that count the last pixel of a box in write (width + 1) * (height + 1) at most.
    """
    given = row.get("area")
    area = real_number(given)
    if area is not None and 0 < area <= (width + 1) * (height + 1):
        if isinstance(given, str):
            tally.add("numbers", f"area {given!r:.40}")
        return area
    tally.add("areas", f"area {given!r:.40} of a box of {width:g}x{height:g}" if "area" in row else "no area")
    return width * height


def _flag(row: dict[str, Any], key: str, tally: Tally) -> bool:
    value = row.get(key, 0)
    if type(value) is int:
        return value != 0
    said = flag(value)
    if said is None:
        raise DataError(f"annotation {row.get('id', '?')!r} has {key} {value!r:.40}, wanted 0 or 1; mend it")
    tally.add("flags", f"{key} {value!r}")
    return said


def _example(bbox: Box, image: NamedImage) -> str:
    numbers = ", ".join(f"{value:g}" for value in bbox)
    return f"{image.name}: [{numbers}] in {image.width}x{image.height} pixels"
