"""Equations as SVG paths in the colour of the text around them: no font, no script, no network."""

from __future__ import annotations

from html import escape

from markupsafe import Markup
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from detkds_gp.export.latex import equations
from detkds_gp.language import Distiller, PrimitiveSet

SIZE = 17.0
_COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


def drawn_equations(distiller: Distiller, primitive_set: PrimitiveSet) -> list[list[Markup]]:
    """Return one row for each equation: its left side, then its summands, each an SVG that may be wrapped after."""
    rows = []
    for left, summands in equations(distiller, primitive_set):
        signs = ["", *["+ "] * (len(summands) - 1)]
        rows.append(
            [maths_svg(f"{left} ="), *(maths_svg(sign + piece) for sign, piece in zip(signs, summands, strict=True))]
        )
    return rows


def maths_svg(latex: str) -> Markup:
    """Draw a piece of LaTeX that matplotlib knows; any other stays text."""
    try:
        path = TextPath((0, 0), f"${latex}$", size=SIZE)
    except ValueError:
        return Markup("<code>{}</code>").format(latex)
    (right, top), (_, bottom) = path.vertices.max(axis=0), path.vertices.min(axis=0)
    low, high = min(bottom, -0.25 * SIZE), max(top, 0.8 * SIZE)
    width, height = right + 1, high - low
    drawn = " ".join(
        _COMMANDS[code] + " ".join(f"{value:.1f}" for value in (() if code == Path.CLOSEPOLY else points))
        for points, code in path.iter_segments()
    )
    view = f"0 {-high:.1f} {width:.1f} {height:.1f}"
    return Markup(
        f'<svg class="maths" role="img" aria-label="{escape(latex)}" viewBox="{view}" width="{width:.1f}" '
        f'height="{height:.1f}" style="vertical-align:{low:.1f}px">'
        f'<path transform="scale(1,-1)" d="{drawn}"/></svg>'
    )
