"""A formula as Graphviz source, in the colours of the drawing."""

from __future__ import annotations

from xml.sax.saxutils import escape

from detkds_gp.export.boxes import SHARED, STUDENT, STYLES, TEACHER, Box, Link, boxes
from detkds_gp.export.graph import Formula, to_networkx
from detkds_gp.export.text import formula_text, wrapped
from detkds_gp.language import PrimitiveSet

TITLE_COLUMNS = 90


def to_dot(formula: Formula, primitive_set: PrimitiveSet) -> str:
    """Return Graphviz source: the boxes of `draw`, two lines where student and teacher pass."""
    drawn = boxes(to_networkx(formula, primitive_set))
    title = _quoted(*wrapped(formula_text(formula), TITLE_COLUMNS), end="\\l")
    lines = [
        "digraph distiller {",
        f'  graph [rankdir=BT, ordering=in, labelloc=t, fontname="Courier", label={title}];',
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
        '  edge [arrowhead=none, penwidth=1.7, fontname="Helvetica", fontsize=9];',
        *(_node(number, box) for number, box in enumerate(drawn)),
        *(_edge(link, number) for number, box in enumerate(drawn) for link in box.links),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _node(number: int, box: Box) -> str:
    style = STYLES[box.style]
    label = _two_sided(box.name) if box.source else _quoted(box.name, box.detail)
    colours = f'fillcolor="{style.fill}", color="{style.line}", fontcolor="{style.ink}"'
    return f"  n{number} [label={label}, {colours}];"


def _edge(link: Link, consumer: int) -> str:
    # Graphviz lays the colours from right to left, seen from below.
    colour = f"{TEACHER}:transparent:{STUDENT}" if link.sided else SHARED
    label = f", label={_quoted(link.label)}" if link.label else ""
    return f'  n{link.box} -> n{consumer} [color="{colour}"{label}];'


def _two_sided(name: str) -> str:
    """Return an HTML label: student and teacher side by side above the name."""
    cells = "".join(
        f'<td bgcolor="{colour}"><font color="white" point-size="8">{side}</font></td>'
        for side, colour in (("student", STUDENT), ("teacher", TEACHER))
    )
    table = '<table border="0" cellborder="0" cellspacing="0">'
    return f'<{table}<tr>{cells}</tr><tr><td colspan="2">{escape(name)}</td></tr></table>>'


def _quoted(*lines: str, end: str = "\\n") -> str:
    r"""Return a quoted string; ``end`` breaks lines: ``\n`` centres them, ``\l`` aligns left."""
    escaped = [line.replace("\\", "\\\\").replace('"', '\\"') for line in lines if line]
    last = end if end == "\\l" else ""
    return f'"{end.join(escaped)}{last}"'
