"""Where every box and line of a tree stands, in pixels from the tree's top left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detkds_gp.export.boxes import Box
from detkds_gp.export.layout import centres, graphviz_centres, layers
from detkds_gp.export.scene import Point

GAP = 20.0  # between neighbours
LABEL_FOOT, LABEL_HEAD = 5.0, 3.0  # bare line below and above a label
BEND, SLACK, MAX_SLACK = 18.0, 0.09, 90.0  # height in which lines bend; more where they run far to the side
PORT_STEP = 48.0
SIDE = 2.6  # half the distance of the student's line from the teacher's
STEPS = 16  # of a bent line


@dataclass(frozen=True)
class Placed:
    """A box and its place: the middle of its upper edge."""

    box: Box
    x: float
    y: float

    @property
    def bottom(self) -> float:
        """Height of the lower edge."""
        return self.y + self.box.height


@dataclass(frozen=True)
class Wire:
    """A line from the box ``start`` up to its consumer ``end``, whose argument number ``position`` it is.

    The points are those of its middle, from the box upwards.
    """

    start: int
    end: int
    position: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Plan:
    """A planned tree and the size of what it covers."""

    boxes: tuple[Placed, ...]
    wires: tuple[Wire, ...]
    width: float
    height: float


def plan(drawn: Sequence[Box], layout: str = "layered") -> Plan:
    """Place boxes in layers, the root on top, and lead lines between them.

    Raises:
        UserError: if the layout is ``graphviz`` and Graphviz is not installed or fails.
    """
    below = [box.below for box in drawn]
    # A label takes the place above its box, so that neighbours leave room for it.
    taken = [max(box.width, box.label_width) for box in drawn]
    place = graphviz_centres if layout == "graphviz" else centres
    xs, depth = place(below, taken, GAP), layers(below)
    rows = _rows(drawn, xs, depth)
    placed = tuple(Placed(box, x, rows[d][0]) for box, x, d in zip(drawn, xs, depth, strict=True))
    wires = tuple(
        _wire(placed, (child, parent, position), rows[depth[parent]][1])
        for parent, box in enumerate(drawn)
        for position, child in enumerate(box.below)
    )
    width = max(x + w / 2 for x, w in zip(xs, taken, strict=True))
    return Plan(placed, wires, width, max(box.bottom for box in placed))


def beside(points: Sequence[Point], by: float) -> tuple[Point, ...]:
    """Return a line that runs ``by`` to the right of another, seen along it on its way up."""
    moved = []
    for index, (x, y) in enumerate(points):
        x0, y0 = points[max(index - 1, 0)]
        x1, y1 = points[min(index + 1, len(points) - 1)]
        length = math.hypot(x1 - x0, y1 - y0)
        moved.append((x - by * (y1 - y0) / length, y + by * (x1 - x0) / length))
    return tuple(moved)


def _rows(drawn: Sequence[Box], xs: Sequence[float], depth: Sequence[int]) -> list[tuple[float, float]]:
    """Return top and bottom of every layer's boxes."""
    count = max(depth) + 1
    heights, labels, bends = [0.0] * count, [0.0] * count, [BEND] * count
    for parent, box in enumerate(drawn):
        layer = depth[parent]
        heights[layer] = max(heights[layer], box.height)
        labels[layer] = max(labels[layer], box.label_height)
        for child in box.below:
            slack = min(SLACK * abs(xs[parent] - xs[child]), MAX_SLACK)
            bends[layer] = max(bends[layer], BEND + slack)
    rows, top = [], 0.0
    for layer in range(count):
        top += labels[layer] + LABEL_FOOT + LABEL_HEAD if layer else 0.0
        rows.append((top, top + heights[layer]))
        top += heights[layer] + bends[layer]
    return rows


def _wire(placed: Sequence[Placed], ends: tuple[int, int, int], row_bottom: float) -> Wire:
    """Lead a line upright past the child's label and the parent's neighbours; it bends between them."""
    start, end, position = ends
    child, parent = placed[start], placed[end]
    port = _port(parent, position, child.x)
    bend = child.y - child.box.label_height - LABEL_FOOT - LABEL_HEAD
    if abs(port - child.x) < 0.5:
        return Wire(start, end, position, ((child.x, child.y), (child.x, parent.bottom)))
    curve = _curve((child.x, bend), (port, row_bottom))
    last = ((port, parent.bottom),) if parent.bottom < row_bottom else ()
    return Wire(start, end, position, ((child.x, child.y), *curve, *last))


def _port(parent: Placed, position: int, child_x: float) -> float:
    """Return the x where a line ends on a box: above the only child, or in a row."""
    count, room = len(parent.box.below), parent.box.width * 0.7
    if count == 1:
        return min(max(child_x, parent.x - room / 2), parent.x + room / 2)
    return parent.x + min(room / count, PORT_STEP) * (position - (count - 1) / 2)


def _curve(start: Point, end: Point) -> list[Point]:
    """Return points of a curve that leaves and arrives upright."""
    (x0, y0), (x1, y1) = start, end
    middle = (y0 + y1) / 2
    curve = []
    for k in range(STEPS + 1):
        t = k / STEPS
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
        curve.append(((a + b) * x0 + (c + d) * x1, a * y0 + (b + c) * middle + d * y1))
    return curve
