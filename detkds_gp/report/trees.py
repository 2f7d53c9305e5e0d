"""Distillers drawn for a page: the tree, its equations, and its steps in words."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from detkds_gp.errors import UserError
from detkds_gp.export import Picture, to_latex
from detkds_gp.language import Distiller, PrimitiveSet, Term, parse_distiller
from detkds_gp.report.maths import drawn_equations
from detkds_gp.report.run import Candidate


@dataclass(frozen=True)
class TermInWords:
    """One term for people who do not read formulas.

    Attributes:
        knowledge: what both detectors know.
        weight: relative to its scale.
        scale: at which it pulls the student as hard as the student's own loss; None until it is measured.
        steps: what is done, innermost first: (name, effect).
    """

    knowledge: str
    weight: float
    scale: float | None
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Drawn:
    """A distiller as a page shows it.

    Attributes:
        text: with scales.
        svg: its tree; empty if it is too large to draw.
        equations: rows of SVG pieces.
        latex: for a paper.
        terms: in words.
    """

    text: str
    svg: Markup
    equations: list[list[Markup]]
    latex: str
    terms: tuple[TermInWords, ...]


def draw(candidate: Candidate, primitive_set: PrimitiveSet) -> Drawn:
    """Draw a candidate with its scales.

    Raises:
        FormulaError: if the primitive set is not the one searched.
    """
    distiller = read(candidate, primitive_set)
    return Drawn(
        distiller.text,
        draw_tree(candidate, primitive_set),
        drawn_equations(distiller, primitive_set),
        to_latex(distiller, primitive_set),
        tuple(_in_words(term, primitive_set) for term in distiller.terms),
    )


def read(candidate: Candidate, primitive_set: PrimitiveSet) -> Distiller:
    """Return a candidate's distiller with its scales, as far as they are measured; raises as `draw`."""
    return parse_distiller(candidate.resolved or candidate.text, primitive_set)


def draw_tree(candidate: Candidate, primitive_set: PrimitiveSet) -> Markup:
    """Return a candidate's tree as SVG; nothing if it is too large to draw; raises as `draw`."""
    distiller = read(candidate, primitive_set)
    try:
        return Markup(Picture(distiller, primitive_set).svg())
    except UserError:
        return Markup()


def _in_words(term: Term, primitive_set: PrimitiveSet) -> TermInWords:
    known = primitive_set.declarations
    names = dict.fromkeys(node.name for node in reversed(term.tree) if node.name in known)
    steps = tuple((name, known[name].doc.replace("`", "")) for name in names)
    return TermInWords(term.knowledge, term.weight, term.scale, steps)
