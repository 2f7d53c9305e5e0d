"""The items of one placed tree: its lines, what stands on them, its boxes."""

from __future__ import annotations

from collections.abc import Iterator

from detkds_gp.export.boxes import LABEL_LEADING, LABEL_SIZE, NAME_LEADING, NAME_SIZE, PADDING_Y
from detkds_gp.export.plan import LABEL_FOOT, SIDE, Placed, Plan, Wire, beside
from detkds_gp.export.scene import Area, Group, Item, Line, Point, Words

RADIUS, LINE_WIDTH, RING, BADGE = 6.0, 2.0, 2.75, 15.0


def tree_groups(tree: Plan, origin: Point, panel: int, sign: str = "") -> Iterator[Group]:
    """Yield a group for every line with its label, then one for every box.

    Args:
        tree: with places from its own top left.
        origin: where that stands on the paper.
        panel: which tree of the drawing it is.
        sign: what marks the nodes that another tree lacks; those it shares are then left plain.
    """
    for wire in tree.wires:
        yield _edge(tree, wire, origin, panel)
    for number, placed in enumerate(tree.boxes):
        yield _node(placed, number, origin, panel, sign)


def _edge(tree: Plan, wire: Wire, origin: Point, panel: int) -> Group:
    placed = tree.boxes[wire.start]
    points = tuple((x + origin[0], y + origin[1]) for x, y in wire.points)
    items: list[Item]
    if placed.box.sided:
        sides = (("student", -SIDE), ("teacher", SIDE))
        items = [Line(beside(points, by), ink, LINE_WIDTH) for ink, by in sides]
    else:
        items = [Line(points, "shared", LINE_WIDTH)]
    data = {
        "panel": str(panel),
        "from": str(wire.start),
        "to": str(wire.end),
        "position": str(wire.position),
        "passed": " ".join(placed.box.passed),
        "weight": placed.box.weight,
    }
    return Group("edge", (*items, *_label(placed, origin)), data)


def _label(placed: Placed, origin: Point) -> Iterator[Item]:
    """Yield the paper under a label, the weight, and what is passed."""
    box = placed.box
    x, y = placed.x + origin[0], placed.y + origin[1] - LABEL_FOOT - box.label_height
    width = box.label_width + 6
    yield Area(x - width / 2, y, width, box.label_height, "paper")
    y += LABEL_LEADING / 2
    if box.weight:
        ink = "accent" if box.reweighted else "ink"
        yield Words(x, y, (box.weight,), LABEL_SIZE, ink, bold=True)
        y += LABEL_LEADING
    yield Words(x, y, box.passed, LABEL_SIZE, "muted", leading=LABEL_LEADING)


def _node(placed: Placed, number: int, origin: Point, panel: int, sign: str) -> Group:
    box = placed.box
    x, y = placed.x + origin[0], placed.y + origin[1]
    plain = sign and not box.only
    fill, line, ink = (f"{box.family}-{part}" for part in ("fill", "line", "ink"))
    if plain:
        fill, ink = "paper", "ink"
    radius = box.height / 2 if box.family == "constant" else RADIUS
    area = Area(x - box.width / 2, y, box.width, box.height, fill, line, radius)
    items: list[Item] = [area]
    if box.only:
        items.insert(0, Area(area.x - 4, y - 4, box.width + 8, box.height + 8, "paper", "accent", radius + 4, RING))
    first = y + PADDING_Y + NAME_LEADING / 2
    items.append(Words(x, first, box.lines, NAME_SIZE, ink, leading=NAME_LEADING))
    if box.only:
        items += _badge((x + box.width / 2 + 4, y + box.height / 2), sign)
    data = {"panel": str(panel), "node": str(number), "label": box.name, "family": box.family}
    return Group("node", tuple(items), data | ({"only": sign} if box.only else {}), box.tip)


def _badge(at: Point, sign: str) -> list[Item]:
    x, y = at
    disc = Area(x - BADGE / 2, y - BADGE / 2, BADGE, BADGE, "accent", radius=BADGE / 2)
    return [disc, Words(x, y, (sign,), 12.0, "paper", bold=True)]
