"""What a drawing shows: a placed tree's lines, what stands on them, its boxes; and the legend that explains them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detkds_gp.export.boxes import LABEL_LEADING, LABEL_SIZE, NAME_LEADING, NAME_SIZE, PADDING_Y
from detkds_gp.export.fonts import text_width
from detkds_gp.export.plan import LABEL_FOOT, SIDE, Placed, Plan, Wire, beside
from detkds_gp.export.scene import Area, Group, Item, Line, Point, Words
from detkds_gp.export.themes import TITLES

RADIUS, LINE_WIDTH, RING, BADGE = 6.0, 2.0, 2.75, 15.0
LEGEND_SIZE, LEGEND_LEADING = 11.0, 22.0
SWATCH, SWATCH_HEIGHT, BEFORE_TEXT, AFTER_TEXT = 24.0, 13.0, 7.0, 20.0
MARKS = {"only": "in this formula only; unfilled: in both", "reweighted": "weighted otherwise"}


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


def legend(trees: Sequence[Plan], note: str, at: Point, width: float) -> tuple[Group, float]:
    """Explain what trees show, in as many rows as the width asks for.

    Args:
        trees: those of the drawing.
        note: a remark that closes the legend.
        at: its top left.
        width: of the room there is.

    Returns:
        the legend and its height.
    """
    items: list[Item] = []
    x, row = 0.0, 0
    for sort, text in [*_entries(trees), *([("note", note)] if note else [])]:
        swatch = 0.0 if sort == "note" else SWATCH + BEFORE_TEXT
        needed = swatch + text_width(text, LEGEND_SIZE)
        if x and x + needed > width:
            x, row = 0.0, row + 1
        middle = at[1] + LEGEND_LEADING * (row + 0.5)
        items += _swatch(sort, (at[0] + x, middle))
        items.append(Words(at[0] + x + swatch, middle, (text,), LEGEND_SIZE, "muted", centred=False))
        x += needed + AFTER_TEXT
    return Group("legend", tuple(items)), LEGEND_LEADING * (row + 1)


def _entries(trees: Sequence[Plan]) -> list[tuple[str, str]]:
    """Return sort and text of what is explained: lines, families, marks."""
    shown = [placed.box for tree in trees for placed in tree.boxes]
    passing = [tree.boxes[wire.start].box for tree in trees for wire in tree.wires]
    entries = [(ink, ink) for ink in ("student", "teacher") if any(box.sided for box in passing)]
    if any(not box.sided for box in passing):
        entries.append(("shared", "one for both"))
    families = {box.family for box in shown}
    entries += [(family, title) for family, title in TITLES.items() if family in families]
    return entries + [(mark, text) for mark, text in MARKS.items() if any(getattr(box, mark) for box in shown)]


def _swatch(sort: str, at: Point) -> list[Item]:
    x, y = at
    corner = (x, y - SWATCH_HEIGHT / 2, SWATCH, SWATCH_HEIGHT)
    if sort in TITLES:
        radius = SWATCH_HEIGHT / 2 if sort == "constant" else 4.0
        return [Area(*corner, f"{sort}-fill", f"{sort}-line", radius)]
    if sort == "only":
        return [Area(*corner, "paper", "accent", 4.0, 2.75)]
    if sort == "reweighted":
        return [Words(x + SWATCH / 2, y, ("2 ×",), LEGEND_SIZE, "accent", bold=True)]
    return [] if sort == "note" else [Line(((x, y), (x + SWATCH, y)), sort)]
