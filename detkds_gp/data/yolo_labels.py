"""Label files in YOLO format: boxes, polygons and key points, line by line."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detkds_gp.data.conversion import Object, xywh

OVER = 0.01
"""How far over the edge a coordinate may be, in sides of the image, as ultralytics allows."""
POINTS = 3  # of the smallest polygon


class BrokenLineError(ValueError):
    """A line that is no label, and why."""


@dataclass
class Labels:
    """What label files hold, read one by one.

    Attributes:
        classes: the names, by number.
        keypoints: whether numbers after a box are key points and not a polygon.
        counts: of ``polygons``, ``clipped``, ``repeated``, ``flat`` (of no width or height), ``keypoints``.
        broken: the lines that cannot be read, as ``file:line (reason)``.
    """

    classes: tuple[str, ...]
    keypoints: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def read(self, path: Path, name: str, size: tuple[int, int]) -> list[Object]:
        """Return the objects of one label file, which ``broken`` knows by a name.

        The size is width and height of its image, in pixels, EXIF orientation applied.
        """
        objects: list[Object] = []
        seen: set[str] = set()
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            words = " ".join(line.split())
            if words in seen:
                self.counts["repeated"] += 1
            elif words:
                try:
                    found = self._object(words.split(), size)
                except BrokenLineError as error:
                    self.broken.append(f"{name}:{number} ({error})")
                else:
                    self.counts["flat"] += found is None
                    objects += [found] if found else []
                seen.add(words)
        return objects

    def _object(self, words: list[str], size: tuple[int, int]) -> Object | None:
        """Return a line's object; None where it has no width, height or area within the image."""
        try:
            number, *rest = map(float, words)
        except ValueError:
            raise BrokenLineError(f"{' '.join(words):.40} is not all numbers") from None
        if not all(map(math.isfinite, (number, *rest))):
            raise BrokenLineError("a number is not finite")
        if not number.is_integer() or not 0 <= number < len(self.classes):
            raise BrokenLineError(f"class {number:g}, wanted 0 to {len(self.classes) - 1}")
        label = self.classes[int(number)]
        box = len(rest) == 4 or (self.keypoints and len(rest) > 4)
        if not box and (len(rest) < 2 * POINTS or len(rest) % 2):
            raise BrokenLineError(f"{len(words)} numbers, wanted 5 of a box, or a class and {POINTS} points or more")
        self.counts["keypoints"] += box and len(rest) > 4
        shares = rest[:4] if box else rest
        low, high = min(shares), max(shares)
        if low < -OVER or high > 1 + OVER:
            over = high if high > 1 + OVER else low
            raise BrokenLineError(f"coordinate {over:g}, wanted shares of the image, 0 to 1")
        return self._boxed(label, shares, size) if box else self._outlined(label, shares, size)

    def _boxed(self, name: str, values: list[float], size: tuple[int, int]) -> Object | None:
        centre, sides = np.array(values[:2]), np.array(values[2:])
        (start, end), clipped = _clipped(np.array([centre - sides / 2, centre + sides / 2]))
        self.counts["clipped"] += clipped
        return None if (start >= end).any() else Object(name, xywh(start * size, end * size))

    def _outlined(self, name: str, values: list[float], size: tuple[int, int]) -> Object | None:
        points, clipped = _clipped(np.array(values).reshape(-1, 2))
        area = _area(points * size)
        start, end = points.min(0), points.max(0)
        if area == 0 or (start >= end).any():
            return None
        self.counts["polygons"] += 1
        self.counts["clipped"] += clipped
        polygon = tuple((points * size).ravel().tolist())
        return Object(name, xywh(start * size, end * size), polygon=polygon, area=area)


def _clipped(points: np.ndarray) -> tuple[np.ndarray, bool]:
    inside = np.clip(points, 0, 1)
    return inside, bool(np.abs(inside - points).max() > 1e-6)  # labels have six digits


def _area(points: np.ndarray) -> float:
    """Return the area of a polygon (the shoelace formula)."""
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
