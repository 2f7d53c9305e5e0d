"""Formulas drawn as trees, from the knowledge of both detectors at the bottom up to the loss.

Blue comes from the student, orange from the teacher; the two run side by side from every knowledge
to a distance, where they merge. Grey belongs to neither: fields, numbers and losses. The paper
grows with the trees; letters keep their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkds_gp.export.boxes import boxes
from detkds_gp.export.fonts import text_width, wrapped_words
from detkds_gp.export.legend import legend
from detkds_gp.export.panel import Panel, graphs
from detkds_gp.export.plan import Plan, plan
from detkds_gp.export.scene import Group, Item, Line, Scene, Words
from detkds_gp.export.text import wrapped
from detkds_gp.export.themes import PLAIN, Look
from detkds_gp.export.tree_groups import tree_groups
from detkds_gp.export.words import in_words

if TYPE_CHECKING:
    import networkx as nx

MARGIN, MIN_WIDTH, BETWEEN = 28.0, 500.0, 56.0
CAPTION_SIZE, CAPTION_LEADING = 14.0, 22.0
TITLE_SIZE, TITLE_LEADING = 12.0, 17.0
BELOW_TITLE, ABOVE_LEGEND = 24.0, 30.0
SIDES = ("first", "second")


@dataclass(frozen=True)
class _Column:
    """One formula's part of the paper."""

    panel: Panel
    graph: nx.DiGraph
    tree: Plan

    @property
    def width(self) -> float:
        return max(self.tree.width, MIN_WIDTH)

    @property
    def head(self) -> float:
        """Height of caption and formula."""
        return CAPTION_LEADING * len(self.caption) + TITLE_LEADING * len(self.title)

    @property
    def caption(self) -> list[str]:
        if not self.panel.caption:
            return []
        return wrapped_words(self.panel.caption, self.width, CAPTION_SIZE, bold=True)

    @property
    def title(self) -> list[str]:
        letter = text_width("0", TITLE_SIZE, "mono")
        return wrapped(self.panel.text, int(self.width / letter))


def compose(panels: Sequence[Panel], look: Look = PLAIN) -> Scene:
    """Draw formulas side by side.

    Args:
        panels: at least one.
        look: whether to mark their difference, and who lays the trees out.

    Raises:
        UserError: for a formula of more than 2000 nodes, a diff of other than two formulas, or a
            layout by a Graphviz that is not there.
    """
    made = graphs(panels, look.diff)
    columns = [_Column(p, g, plan(boxes(g), look.layout)) for p, g in zip(panels, made, strict=True)]
    top = MARGIN + max(column.head for column in columns) + BELOW_TITLE
    foot = top + max(column.tree.height for column in columns) + ABOVE_LEGEND
    groups: list[Group] = []
    x = MARGIN
    for number, column in enumerate(columns):
        sign = "−+"[number] if look.diff else ""
        groups.append(_head(column, (x, MARGIN), number))
        inset = (column.width - column.tree.width) / 2
        groups += tree_groups(column.tree, (x + inset, top), number, sign)
        x += column.width + BETWEEN
    width = x - BETWEEN + MARGIN
    key = legend([c.tree for c in columns], _shapes_note(panels, made), (MARGIN, foot), width - 2 * MARGIN)
    groups += [_rules(columns, foot - ABOVE_LEGEND), key.group]
    return Scene(width, foot + key.height + MARGIN, tuple(groups), *_said(panels, made))


def _head(column: _Column, at: tuple[float, float], number: int) -> Group:
    x, y = at
    items: list[Item] = []
    if column.caption:
        lines = tuple(column.caption)
        top = y + CAPTION_SIZE / 2
        items.append(Words(x, top, lines, CAPTION_SIZE, centred=False, bold=True, leading=CAPTION_LEADING))
        y += CAPTION_LEADING * len(lines)
    letter = text_width("0", TITLE_SIZE, "mono")
    for row, line in enumerate(column.title):
        # SVG viewers swallow leading spaces.
        indent = letter * (len(line) - len(line.lstrip()))
        middle = y + TITLE_LEADING * (row + 0.5)
        items.append(Words(x + indent, middle, (line.lstrip(),), TITLE_SIZE, centred=False, face="mono"))
    return Group("title", tuple(items), {"panel": str(number)})


def _rules(columns: Sequence[_Column], bottom: float) -> Group:
    """Draw a thin line between neighbours."""
    items: list[Item] = []
    x = MARGIN - BETWEEN / 2
    for column in columns[:-1]:
        x += column.width + BETWEEN
        items.append(Line(((x, MARGIN), (x, bottom)), "rule", 1.0))
    return Group("rules", tuple(items))


def _shapes_note(panels: Sequence[Panel], made: Sequence[nx.DiGraph]) -> str:
    if not any(edge["shape"] is not None for graph in made for *_, edge in graph.edges(data=True)):
        return ""
    if all(panel.shapes is None for panel in panels):
        return "shapes: one level of sample knowledge"
    return "shapes: as given" if all(panel.shapes is not None for panel in panels) else ""


def _said(panels: Sequence[Panel], made: Sequence[nx.DiGraph]) -> tuple[str, str, str]:
    """Return the scene's title, its description and the formulas in words."""
    title = " | ".join(panel.text for panel in panels)
    label = "; ".join(": ".join(filter(None, [p.caption, in_words(g)])) for p, g in zip(panels, made, strict=True))
    trees = [f"{len(graph)} nodes: {panel.text}" for panel, graph in zip(panels, made, strict=True)]
    says = (
        "Tree of a distillation loss, from the knowledge of student (blue lines) and teacher (orange lines) "
        f"at the bottom up to the loss at the top; {'. '.join(trees)}."
    )
    for side, graph in zip(SIDES, made, strict=False):
        only = [row["label"] for _, row in graph.nodes(data=True) if row.get("only")]
        if any("only" in row for _, row in graph.nodes(data=True)):
            says += f" Only in the {side}: {', '.join(only) or 'nothing'}."
    return title, says, label
