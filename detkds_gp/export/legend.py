"""The legend: what lines and colours of a drawing mean, and only those that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detkds_gp.export.fonts import text_width
from detkds_gp.export.plan import Plan
from detkds_gp.export.scene import Area, Group, Item, Line, Point, Words
from detkds_gp.export.themes import TITLES

SIZE, LEADING = 11.0, 22.0
SWATCH, SWATCH_HEIGHT, BEFORE_TEXT, AFTER_TEXT = 24.0, 13.0, 7.0, 20.0
MARKS = {"only": "in this formula only; unfilled: in both", "reweighted": "weighted otherwise"}


@dataclass(frozen=True)
class Legend:
    """A legend and its height."""

    group: Group
    height: float


def legend(trees: Sequence[Plan], note: str, at: Point, width: float) -> Legend:
    """Explain what trees show, in as many rows as the width asks for.

    Args:
        trees: those of the drawing.
        note: a remark that closes the legend.
        at: its top left.
        width: of the room there is.
    """
    items: list[Item] = []
    x, row = 0.0, 0
    for sort, text in [*_entries(trees), *([("note", note)] if note else [])]:
        swatch = 0.0 if sort == "note" else SWATCH + BEFORE_TEXT
        needed = swatch + text_width(text, SIZE)
        if x and x + needed > width:
            x, row = 0.0, row + 1
        middle = at[1] + LEADING * (row + 0.5)
        items += _swatch(sort, (at[0] + x, middle))
        items.append(Words(at[0] + x + swatch, middle, (text,), SIZE, "muted", centred=False))
        x += needed + AFTER_TEXT
    return Legend(Group("legend", tuple(items)), LEADING * (row + 1))


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
        return [Words(x + SWATCH / 2, y, ("2 ×",), SIZE, "accent", bold=True)]
    return [] if sort == "note" else [Line(((x, y), (x + SWATCH, y)), sort)]
