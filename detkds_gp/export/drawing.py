"""A formula drawn as a tree, from the knowledge of both detectors at the bottom up to the loss.

Blue comes from the student, orange from the teacher; the two run side by side from every knowledge
to a distance, where they merge. Grey belongs to neither: fields and losses. The figure grows with
the tree; letters keep their size.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from detkds_gp.errors import UserError
from detkds_gp.export.boxes import SHARED, STUDENT, STYLES, TEACHER, Box, Style, boxes
from detkds_gp.export.graph import Formula, to_networkx
from detkds_gp.export.plan import (
    DETAIL_SIZE,
    HEIGHT,
    MONO,
    NAME_SIZE,
    SIDE,
    TAG_HEIGHT,
    TAG_INSET,
    TAG_SIZE,
    TAG_SPLIT,
    Placed,
    Plan,
    Point,
    Wire,
    beside,
    plan,
    text_width,
)
from detkds_gp.export.sheet import Sheet, plain_style, png_bytes, svg_text
from detkds_gp.export.text import formula_text, wrapped
from detkds_gp.language import PrimitiveSet

MARGIN, MIN_WIDTH = 0.3, 5.5
TITLE_SIZE, TITLE_LINE = 8.5, 0.18
LEGEND_SIZE, LEGEND_LINE, SWATCH = 7.5, 0.22, 0.22
MAX_BOXES = 2000


def draw(formula: Formula, primitive_set: PrimitiveSet) -> Figure:
    """Draw a formula.

    Args:
        formula: a distiller or a tree.
        primitive_set: the set that declares the formula's names.

    Returns:
        a figure of no window; save it, or take `to_svg` and `to_png`.

    Raises:
        UserError: for more than 2000 boxes.
    """
    drawn = boxes(to_networkx(formula, primitive_set))
    if len(drawn) > MAX_BOXES:
        raise UserError(f"the formula has {len(drawn)} boxes, too many to draw; export dot or json")
    tree = plan(drawn)
    width = max(tree.width, MIN_WIDTH)
    letter = text_width("0" * 100, TITLE_SIZE, MONO) / 100
    title = wrapped(formula_text(formula), int(width / letter))
    legend = _legend_rows(_legend(drawn), width)
    foot = MARGIN + len(legend) * LEGEND_LINE + 0.25
    head = len(title) * TITLE_LINE + 0.25 + MARGIN
    with plain_style():
        sheet = Sheet(width + 2 * MARGIN, foot + tree.height + head)
        _draw_tree(sheet, tree, (MARGIN + (width - tree.width) / 2, foot))
        for row, line in enumerate(title):
            y = foot + tree.height + head - MARGIN - TITLE_LINE * (row + 0.5)
            # SVG viewers swallow leading spaces.
            indent = letter * (len(line) - len(line.lstrip()))
            sheet.text((MARGIN + indent, y), line.lstrip(), TITLE_SIZE, ha="left", family=MONO)
        for row, entries in enumerate(legend):
            _draw_legend(sheet, entries, foot - 0.25 - LEGEND_LINE * (row + 0.5))
    return sheet.figure


def to_png(formula: Formula, primitive_set: PrimitiveSet) -> bytes:
    """Draw a formula as PNG.

    Raises:
        UserError: if the tree is too large.
    """
    return png_bytes(draw(formula, primitive_set), formula_text(formula))


def to_svg(formula: Formula, primitive_set: PrimitiveSet) -> str:
    """Draw a formula as SVG, in which text stays text; the same formula gives the same bytes.

    Raises:
        UserError: if the tree is too large.
    """
    text = formula_text(formula)
    description = (
        "Tree of a distillation loss, from the knowledge of student (blue) and teacher (orange) "
        f"at the bottom up to the loss at the top: {text}"
    )
    return svg_text(draw(formula, primitive_set), text, description)


def _draw_tree(sheet: Sheet, tree: Plan, origin: Point) -> None:
    def moved(point: Point) -> Point:
        return point[0] + origin[0], point[1] + origin[1]

    for wire in tree.wires:
        _draw_wire(sheet, wire, [moved(point) for point in wire.points])
        if wire.label:
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
            sheet.text(moved(wire.label_at), wire.label, DETAIL_SIZE, bbox=paper)
    for placed in tree.boxes:
        _draw_box(sheet, placed, moved((placed.x, placed.y)))


def _draw_wire(sheet: Sheet, wire: Wire, points: Sequence[Point]) -> None:
    if wire.sided:
        sheet.line(beside(points, SIDE), STUDENT)
        sheet.line(beside(points, -SIDE), TEACHER)
    else:
        sheet.line(points, SHARED)


def _draw_box(sheet: Sheet, placed: Placed, at: Point) -> None:
    box, style = placed.box, STYLES[placed.box.style]
    (x, y), width = at, placed.width
    sheet.box((x - width / 2, y - HEIGHT / 2), (width, HEIGHT), style)
    if box.source:
        _draw_tags(sheet, at, width)
        sheet.text((x, y - 0.095), box.name, NAME_SIZE, color=style.ink)
        return
    sheet.text((x, y + (0.075 if box.detail else 0)), box.name, NAME_SIZE, color=style.ink)
    if box.detail:
        sheet.text((x, y - 0.1), box.detail, DETAIL_SIZE, color=style.ink, alpha=0.8)


def _draw_tags(sheet: Sheet, at: Point, width: float) -> None:
    """Show that both detectors give a knowledge: left the student, right the teacher."""
    half = width / 2 - TAG_INSET - TAG_SPLIT
    bottom = at[1] + HEIGHT / 2 - TAG_INSET - TAG_HEIGHT
    lefts = at[0] - TAG_SPLIT - half, at[0] + TAG_SPLIT
    for name, colour, left in zip(("student", "teacher"), (STUDENT, TEACHER), lefts, strict=True):
        sheet.tag((left, bottom), (half, TAG_HEIGHT), colour)
        middle = (left + half / 2, bottom + TAG_HEIGHT / 2)
        sheet.text(middle, name, TAG_SIZE, color="white", weight="bold")


def _legend(drawn: Sequence[Box]) -> list[Style]:
    """Return what the drawing shows: colours of lines (without a fill), then of boxes."""
    sided = [link.sided for box in drawn for link in box.links]
    lines = [Style("student", "", STUDENT), Style("teacher", "", TEACHER)] if any(sided) else []
    shared = [Style("field, loss", "", SHARED)] if not all(sided) else []
    present = {box.style for box in drawn}
    return lines + shared + [style for key, style in STYLES.items() if key in present]


def _legend_rows(entries: Sequence[Style], width: float) -> list[list[tuple[float, Style]]]:
    """Place entries from left to right in as many rows as they need."""
    rows: list[list[tuple[float, Style]]] = [[]]
    x = 0.0
    for entry in entries:
        needed = SWATCH + 0.07 + text_width(entry.title, LEGEND_SIZE)
        if x + needed > width and rows[-1]:
            rows.append([])
            x = 0.0
        rows[-1].append((x, entry))
        x += needed + 0.2
    return rows


def _draw_legend(sheet: Sheet, entries: Sequence[tuple[float, Style]], y: float) -> None:
    for offset, entry in entries:
        x = MARGIN + offset
        if entry.fill:
            sheet.box((x, y - 0.06), (SWATCH, 0.12), entry)
        else:
            sheet.line([(x, y), (x + SWATCH, y)], entry.line)
        sheet.text((x + SWATCH + 0.07, y), entry.title, LEGEND_SIZE, ha="left")
