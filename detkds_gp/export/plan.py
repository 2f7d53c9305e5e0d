"""Where everything of a drawing stands, in inches from the bottom left of the tree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from detkds_gp.export.boxes import Box, Link
from detkds_gp.export.layout import centres, layers

SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"
NAME_SIZE, DETAIL_SIZE, TAG_SIZE = 9.0, 7.0, 6.0
HEIGHT, PADDING, GAP = 0.44, 0.1, 0.22
SOURCE_WIDTH = 1.0
TAG_HEIGHT, TAG_INSET, TAG_SPLIT = 0.15, 0.045, 0.012
LAYER_GAP, LABEL_GAP = 0.32, 0.26
SIDE = 0.028  # half the distance of the student's line from the teacher's
Point = tuple[float, float]


@dataclass(frozen=True)
class Placed:
    """A box and its place: centre and width."""

    box: Box
    x: float
    y: float
    width: float

    @property
    def top(self) -> float:
        """Height of the upper edge."""
        return self.y + HEIGHT / 2

    @property
    def bottom(self) -> float:
        """Height of the lower edge."""
        return self.y - HEIGHT / 2


@dataclass(frozen=True)
class Wire:
    """A line from a box up to its consumer: the points of its middle, and what it carries."""

    points: tuple[Point, ...]
    sided: bool
    label: str = ""
    label_at: Point = (0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """A planned tree and the size of what it covers."""

    boxes: tuple[Placed, ...]
    wires: tuple[Wire, ...]
    width: float
    height: float


def plan(drawn: Sequence[Box]) -> Plan:
    """Place boxes in layers, the root on top, and lead lines between them."""
    below = [[link.box for link in box.links] for box in drawn]
    labels = {link.box: link.label for box in drawn for link in box.links}
    widths = [_width(box) for box in drawn]
    # A label takes the place above its box, so that neighbours leave room for it.
    taken = [max(w, text_width(labels.get(i, ""), DETAIL_SIZE)) for i, w in enumerate(widths)]
    xs, depth = centres(below, taken, GAP), layers(below)
    ys = _heights(drawn, xs, depth)
    placed = tuple(map(Placed, drawn, xs, ys, widths))
    wires = tuple(wire for box in placed for wire in _wires(box, placed))
    width = max(x + w / 2 for x, w in zip(xs, taken, strict=True))
    return Plan(placed, wires, width, max(box.top for box in placed))


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, family: str = SANS) -> float:
    """Return the width of a text in inches; ``size`` is in points."""
    if not text.strip():
        return 0.0
    path = TextPath((0, 0), text, size=size, prop=FontProperties(family=family))
    return float(path.get_extents().x1) / 72


def beside(points: Sequence[Point], by: float) -> list[Point]:
    """Return a line that runs ``by`` to the left of another, seen along it."""
    moved = []
    for index, (x, y) in enumerate(points):
        x0, y0 = points[max(index - 1, 0)]
        x1, y1 = points[min(index + 1, len(points) - 1)]
        length = math.hypot(x1 - x0, y1 - y0)
        moved.append((x - by * (y1 - y0) / length, y + by * (x1 - x0) / length))
    return moved


def _width(box: Box) -> float:
    name, detail = text_width(box.name, NAME_SIZE), text_width(box.detail, DETAIL_SIZE)
    ports = 0.25 * len(box.links)
    return max(name, detail, ports, SOURCE_WIDTH - 2 * PADDING if box.source else 0) + 2 * PADDING


def _heights(drawn: Sequence[Box], xs: Sequence[float], depth: Sequence[int]) -> list[float]:
    """Return the y of every box; layers stand further apart where lines run far to the side."""
    gaps = [LAYER_GAP] * (max(depth) + 1)
    for parent, box in enumerate(drawn):
        for link in box.links:
            aside = abs(xs[parent] - xs[link.box])
            gap = LAYER_GAP + min(0.09 * aside, 0.9) + (LABEL_GAP if link.label else 0)
            gaps[depth[parent]] = max(gaps[depth[parent]], gap)
    lowest = [HEIGHT / 2] * (max(depth) + 1)
    for layer in reversed(range(max(depth))):
        lowest[layer] = lowest[layer + 1] + HEIGHT + gaps[layer]
    return [lowest[layer] for layer in depth]


def _wires(parent: Placed, placed: Sequence[Placed]) -> list[Wire]:
    links = parent.box.links
    step = min(parent.width * 0.7 / max(len(links), 1), 0.5)
    return [
        _wire(link, placed[link.box], (parent.x + step * (k - (len(links) - 1) / 2), parent.bottom))
        for k, link in enumerate(links)
    ]


def _wire(link: Link, child: Placed, end: Point) -> Wire:
    start = (child.x, child.top - (TAG_INSET if child.box.source else 0))
    if not link.label:
        return Wire((start, *_curve((child.x, child.top + 0.02), end)), link.sided)
    bend = (child.x, child.top + LABEL_GAP)
    label_at = (child.x, child.top + LABEL_GAP / 2)
    return Wire((start, *_curve(bend, end)), link.sided, link.label, label_at)


def _curve(start: Point, end: Point, steps: int = 24) -> list[Point]:
    """Return points of a curve that leaves and arrives upright."""
    (x0, y0), (x1, y1) = start, end
    middle = (y0 + y1) / 2
    curve = []
    for k in range(steps + 1):
        t = k / steps
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
        curve.append(((a + b) * x0 + (c + d) * x1, a * y0 + (b + c) * middle + d * y1))
    return curve
