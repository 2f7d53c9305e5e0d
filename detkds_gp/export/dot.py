"""Formulas as Graphviz source, in the colours of the drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detkds_gp.export.boxes import Box, boxes
from detkds_gp.export.difference import graphs
from detkds_gp.export.fonts import wrapped
from detkds_gp.export.graph import Panel
from detkds_gp.export.themes import PLAIN, THEMES, Look, Theme

TITLE_COLUMNS = 90


def to_dot(panels: Sequence[Panel], look: Look = PLAIN) -> str:
    """Return Graphviz source: a cluster a formula, two lines where student and teacher pass.

    Edges lead down from consumer to argument, without arrow heads: so Graphviz keeps the arguments'
    order and sets the roots level.

    Args:
        panels: at least one.
        look: its theme, and whether to mark a difference; Graphviz lays out by itself.

    Raises:
        UserError: for a formula of more than 2000 nodes, or a diff of other than two formulas.
    """
    colours = THEMES[look.theme]
    ink, paper = f'fontcolor="{colours["ink"]}"', f'bgcolor="{colours["paper"]}"'
    lines = [
        "digraph distiller {",
        f'  graph [ordering=out, labelloc=t, labeljust=l, fontname="Courier", {ink}, {paper}, penwidth=0];',
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11, tooltip=""];',
        f'  edge [arrowhead=none, penwidth=1.7, fontname="Helvetica", fontsize=9, {ink}];',
    ]
    for number, (panel, graph) in enumerate(zip(panels, graphs(panels, look.diff), strict=True)):
        lines += _cluster(panel, boxes(graph), number, colours)
    return "\n".join([*lines, "}"]) + "\n"


def _cluster(panel: Panel, drawn: Sequence[Box], panel_number: int, colours: Theme) -> Iterator[str]:
    yield f"  subgraph cluster_{panel_number} {{"
    title = [panel.caption, *wrapped(panel.text, TITLE_COLUMNS)]
    yield f"    graph [label={_quoted(*title, end=chr(92) + 'l')}];"
    prefix = f"p{panel_number}n"
    for number, box in enumerate(drawn):
        yield f"    {prefix}{number} [{_node(box, colours)}];"
    for number, box in enumerate(drawn):
        for below in box.below:
            yield f"    {prefix}{number} -> {prefix}{below} [{_edge(drawn[below], colours)}];"
    yield "  }"


def _node(box: Box, colours: Theme) -> str:
    fill, line, ink = (colours[f"{box.family}-{part}"] for part in ("fill", "line", "ink"))
    marked = f', color="{colours["accent"]}", penwidth=3' if box.only else f', color="{line}"'
    return f'label={_quoted(*box.lines)}, tooltip={_quoted(box.tip)}, fillcolor="{fill}", fontcolor="{ink}"{marked}'


def _edge(passing: Box, colours: Theme) -> str:
    two = f"{colours['student']}:transparent:{colours['teacher']}"
    marked = f', fontcolor="{colours["accent"]}"' if passing.reweighted else ""
    # Graphviz writes close to the line.
    label = _quoted(*(f"  {line}" for line in (passing.weight, *passing.passed) if line))
    return f'color="{two if passing.sided else colours["shared"]}", label={label}{marked}'


def _quoted(*lines: str, end: str = "\\n") -> str:
    r"""Return a quoted string; ``end`` breaks lines: ``\n`` centres them, ``\l`` aligns left."""
    escaped = [line.replace("\\", "\\\\").replace('"', '\\"') for line in lines if line]
    last = end if end == "\\l" else ""
    return f'"{end.join(escaped)}{last}"'
