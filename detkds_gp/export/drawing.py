"""Formulas drawn as trees, from the knowledge of both detectors at the bottom up to the loss.

Blue comes from the student, orange from the teacher; the two run side by side from every knowledge
to a distance, where they merge. Grey belongs to neither: fields, numbers and losses. The paper
grows with the trees; letters keep their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from detkds_gp.export.boxes import boxes
from detkds_gp.export.difference import graphs
from detkds_gp.export.fonts import text_width, wrapped, wrapped_words
from detkds_gp.export.graph import SUM, Panel, arguments_of
from detkds_gp.export.groups import legend, tree_groups
from detkds_gp.export.plan import plan
from detkds_gp.export.scene import Group, Item, Line, Point, Scene, Words
from detkds_gp.export.themes import PLAIN, Look
from detkds_gp.language import Constant

if TYPE_CHECKING:
    import networkx as nx

MARGIN, MIN_WIDTH, BETWEEN = 28.0, 500.0, 56.0
CAPTION_SIZE, CAPTION_LEADING = 14.0, 22.0
TITLE_SIZE, TITLE_LEADING = 12.0, 17.0
BELOW_TITLE, ABOVE_LEGEND = 24.0, 30.0


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
    trees = [plan(boxes(graph), look.layout) for graph in made]
    widths = [max(tree.width, MIN_WIDTH) for tree in trees]
    lefts = list(accumulate(widths[:-1], lambda x, width: x + width + BETWEEN, initial=MARGIN))
    heads = [_head(panel, (x, MARGIN), width) for panel, x, width in zip(panels, lefts, widths, strict=True)]
    top = max(bottom for _, bottom in heads) + BELOW_TITLE
    foot = top + max(tree.height for tree in trees) + ABOVE_LEGEND
    groups: list[Group] = []
    for number, (tree, (items, _)) in enumerate(zip(trees, heads, strict=True)):
        inset = (widths[number] - tree.width) / 2
        sign = "−+"[number] if look.diff else ""
        groups.append(Group("title", tuple(items), {"panel": str(number)}))
        groups += tree_groups(tree, (lefts[number] + inset, top), number, sign)
    right = lefts[-1] + widths[-1]
    between = [x - BETWEEN / 2 for x in lefts[1:]]
    rules = tuple(Line(((x, MARGIN), (x, foot - ABOVE_LEGEND)), "rule", 1.0) for x in between)
    key, height = legend(trees, _shapes_note(panels, made), (MARGIN, foot), right - MARGIN)
    groups += [Group("rules", rules), key]
    return Scene(right + MARGIN, foot + height + MARGIN, tuple(groups), *_said(panels, made))


def _head(panel: Panel, at: Point, width: float) -> tuple[list[Item], float]:
    """Return caption and formula, and the height at which they end."""
    x, y = at
    items: list[Item] = []
    if panel.caption:
        caption = tuple(wrapped_words(panel.caption, width, CAPTION_SIZE, bold=True))
        middle = y + CAPTION_SIZE / 2
        items.append(Words(x, middle, caption, CAPTION_SIZE, centred=False, bold=True, leading=CAPTION_LEADING))
        y += CAPTION_LEADING * len(caption)
    letter = text_width("0", TITLE_SIZE, "mono")
    for line in wrapped(panel.text, int(width / letter)):
        # SVG viewers swallow leading spaces.
        left = x + letter * (len(line) - len(line.lstrip()))
        items.append(Words(left, y + TITLE_LEADING / 2, (line.lstrip(),), TITLE_SIZE, centred=False, face="mono"))
        y += TITLE_LEADING
    return items, y


def _shapes_note(panels: Sequence[Panel], made: Sequence[nx.DiGraph]) -> str:
    given = {panel.shapes is not None for panel in panels}
    shown = any(edge["shape"] is not None for graph in made for *_, edge in graph.edges(data=True))
    if not shown or len(given) > 1:
        return ""
    return "shapes: as given" if given == {True} else "shapes: one level of sample knowledge"


def _said(panels: Sequence[Panel], made: Sequence[nx.DiGraph]) -> tuple[str, str, str]:
    """Return the scene's title, its description and the formulas in words."""
    title = " | ".join(panel.text for panel in panels)
    label = "; ".join(": ".join(filter(None, [p.caption, in_words(g)])) for p, g in zip(panels, made, strict=True))
    trees = [f"{len(graph)} nodes: {panel.text}" for panel, graph in zip(panels, made, strict=True)]
    says = (
        "Tree of a distillation loss, from the knowledge of student (blue lines) and teacher (orange lines) "
        f"at the bottom up to the loss at the top; {'. '.join(trees)}."
    )
    for side, graph in zip(("first", "second"), made, strict=False):
        marked = [row for row in graph.nodes.values() if "only" in row]
        if marked:
            says += f" Only in the {side}: {', '.join(row['label'] for row in marked if row['only']) or 'nothing'}."
    return title, says, label


def in_words(graph: nx.DiGraph) -> str:
    """Say the formula of a graph of `to_networkx`.

    Returns:
        e.g. ``0.5 times 4.17 times smooth l1 of patches 4 of global``.
    """
    said: dict[int, str] = {}
    for node, attributes in graph.nodes(data=True):
        below = arguments_of(graph, node)
        weights = [graph.edges[argument, node]["label"].replace("×", "times") for argument in below]
        terms = [f"{w} times {said[b]}" if w else said[b] for w, b in zip(weights, below, strict=True)]
        name = attributes["label"].replace("_", " ").strip()
        if attributes["role"] == Constant.role:
            said[node] = f"{attributes['kind'].lower()} {name}"
        elif not below:
            said[node] = "the student alone, without distillation" if attributes["role"] == SUM else name
        elif attributes["role"] == SUM:
            said[node] = " plus ".join(terms)
        else:
            said[node] = _call(name, terms, [graph.nodes[b]["role"] == Constant.role for b in below])
    return said[node]


def _call(name: str, arguments: list[str], numbers: list[bool]) -> str:
    """Say ``name of argument``; what stands beside others is bracketed if it has parts itself."""
    if len(arguments) == 1:
        return f"{name} of {arguments[0]}"
    bracketed = [f"({said})" if " of " in said else said for said in arguments]
    if all(numbers[1:]):
        return f"{name} of {arguments[0]} with {' and '.join(bracketed[1:])}"
    return f"{name} of {' and '.join(bracketed)}"
