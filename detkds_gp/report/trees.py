"""Distillers drawn for a page: the tree, its steps in words, and its equations as SVG paths (no font, no script)."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from markupsafe import Markup
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from detkds_gp.errors import UserError
from detkds_gp.export import Picture, to_latex
from detkds_gp.export.latex import equations
from detkds_gp.language import Distiller, PrimitiveSet, Term, parse_distiller
from detkds_gp.report.run import Candidate

SIZE = 17.0
_COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


@dataclass(frozen=True)
class Drawn:
    """A distiller as a page shows it.

    Attributes:
        text: with scales.
        svg: its tree; empty if it is too large to draw.
        equations: one row each: the left side, then the summands, each an SVG that may be wrapped after.
        latex: for a paper.
        terms: each with its steps in words, innermost first, as (name, effect).
    """

    text: str
    svg: Markup
    equations: list[list[Markup]]
    latex: str
    terms: list[tuple[Term, list[tuple[str, str]]]]


def draw(candidate: Candidate, primitive_set: PrimitiveSet) -> Drawn:
    """Draw a candidate with its scales.

    Raises:
        FormulaError: if the primitive set is not the one searched.
    """
    distiller = _read(candidate, primitive_set)
    return Drawn(
        distiller.text,
        draw_tree(candidate, primitive_set),
        [_equation(left, summands) for left, summands in equations(distiller, primitive_set)],
        to_latex(distiller, primitive_set),
        [(term, _steps(term, primitive_set)) for term in distiller.terms],
    )


def draw_tree(candidate: Candidate, primitive_set: PrimitiveSet) -> Markup:
    """Return a candidate's tree as SVG; nothing if it is too large to draw; raises as `draw`."""
    distiller = _read(candidate, primitive_set)
    try:
        return Markup(Picture(distiller, primitive_set).svg())
    except UserError:
        return Markup()


def _read(candidate: Candidate, primitive_set: PrimitiveSet) -> Distiller:
    """Return a candidate's distiller with its scales, as far as they are measured."""
    return parse_distiller(candidate.resolved or candidate.text, primitive_set)


def _steps(term: Term, primitive_set: PrimitiveSet) -> list[tuple[str, str]]:
    known = primitive_set.declarations
    names = dict.fromkeys(node.name for node in reversed(term.tree) if node.name in known)
    return [(name, known[name].doc.replace("`", "")) for name in names]


def _equation(left: str, summands: list[str]) -> list[Markup]:
    first, *others = summands
    return [maths_svg(piece) for piece in (f"{left} =", first, *(f"+ {other}" for other in others))]


def maths_svg(latex: str) -> Markup:
    """Draw a piece of LaTeX that matplotlib knows, in the colour of the text around it; any other stays text."""
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
