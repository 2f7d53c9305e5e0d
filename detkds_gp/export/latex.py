r"""A distiller as LaTeX: the loss first, then what its distances compare.

A distance compares one expression on two sides, so that the expression is written once, and the
distance on its two sides: ``x_{1}^{S}`` of the student, ``x_{1}^{T}`` of the teacher::

    \mathcal{L} = 2 \cdot 0.037 \, \|x_{1}^{S} - x_{1}^{T}\|_{2}^{2}
    x_{1} = \widehat{F}_{c}

Inside bars the two sides are subtracted, elsewhere listed. An input compared as it is keeps its
letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from detkds_gp.export.graph import post_order
from detkds_gp.language import Distance, Distiller, Input, Learned, PrimitiveSet, Term
from detkds_gp.language.tree import Node, is_constant, number_text

SLOT = re.compile(r"#(\d)")
BRACKETS = {"(": ")", "[": "]", r"\|": r"\|", "|": "|", r"\lVert ": r" \rVert", "{": "}"}
GROUP = re.compile(r"\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\]|\\\|.*?\\\||(?<!\\)\|.*?(?<!\\)\|")
OPERATOR = re.compile(r"[\s+\-/*,]|\\cdot|\\odot|\\times")


class Form(IntEnum):
    """How tightly a piece of LaTeX holds together."""

    ATOM = 0  # takes an exponent as it stands
    SCRIPTED = 1  # has an index or exponent already
    COMPOUND = 2  # holds operators outside all brackets


@dataclass(frozen=True)
class Written:
    """A piece of LaTeX, its form, and whether it is an input's letter alone."""

    latex: str
    form: Form
    is_input: bool = False


@dataclass
class _Writer:
    """Writes trees and gathers what their distances compare, numbered in reading order."""

    primitive_set: PrimitiveSet
    symbols: dict[str, str] = field(default_factory=dict)

    def visit(self, node: Node, below: list[Written]) -> Written:
        if is_constant(node):
            return number_latex(node.value)
        declaration = self.primitive_set.declarations[node.name]
        if isinstance(declaration, Distance):
            below = [self._compared(declaration, below[0]), *below[1:]]
        if isinstance(declaration, Input):
            return Written(declaration.latex, form_of(declaration.latex), is_input=True)
        return fill(declaration.latex, below)

    def _compared(self, distance: Distance, shared: Written) -> Written:
        """Write the two sides of what a distance compares."""
        symbol = shared.latex
        if not shared.is_input or shared.form != Form.ATOM:
            symbol = self.symbols.setdefault(shared.latex, f"x_{{{len(self.symbols) + 1}}}")
        before = distance.latex.split("#1")[0]
        join = " - " if before.endswith(("|", "Vert ", "Vert")) else ", "
        return Written(f"{symbol}^{{S}}{join}{symbol}^{{T}}", Form.COMPOUND)


def equations(distiller: Distiller, primitive_set: PrimitiveSet) -> list[tuple[str, list[str]]]:
    """Return left sides with the summands of their right sides: the loss, then each x compared."""
    writer = _Writer(primitive_set)
    summands = []
    for number, term in enumerate(distiller.terms, 1):
        written: list[Written] = []
        for node, below in post_order(term.tree):
            written.append(writer.visit(node, [written[place] for place in below]))
        tree = written[-1]
        factor = _factor(term, number)
        whole = not factor or tree.form < Form.COMPOUND
        summands.append(factor + (tree.latex if whole else f"({tree.latex})"))
    definitions = [(symbol, [shared]) for shared, symbol in writer.symbols.items()]
    return [(r"\mathcal{L}", summands or ["0"]), *definitions]


def formula_lines(distiller: Distiller, primitive_set: PrimitiveSet) -> list[str]:
    """Return every equation as one line of maths, which matplotlib's mathtext draws too."""
    lines = equations(distiller, primitive_set)
    return [f"{left} = {' + '.join(summands)}" for left, summands in lines]


def to_latex(distiller: Distiller, primitive_set: PrimitiveSet) -> str:
    """Return an ``align*`` block (package amsmath) and a sentence that explains its letters."""
    return f"{aligned(distiller, primitive_set, 'align*')}\n{_where(distiller, primitive_set)}\n"


def aligned(distiller: Distiller, primitive_set: PrimitiveSet, environment: str = "aligned") -> str:
    """Return the equations as rows of an environment of amsmath, which MathJax knows too."""
    rows = []
    for left, (first, *others) in equations(distiller, primitive_set):
        rows += [f"{left} ={{}}& {first}", *(f"& {{}}+ {other}" for other in others)]
    body = " \\\\\n  ".join(rows)
    return f"\\begin{{{environment}}}\n  {body}\n\\end{{{environment}}}"


def number_latex(value: float) -> Written:
    """Write a number; powers of ten as in print."""
    mantissa, _, exponent = number_text(value).partition("e")
    if not exponent:
        return Written(mantissa, Form.COMPOUND if value < 0 else Form.ATOM)
    power = f"10^{{{int(exponent)}}}"
    if mantissa == "1":
        return Written(power, Form.SCRIPTED)
    return Written(rf"{mantissa} \cdot {power}", Form.COMPOUND)


def fill(template: str, arguments: Sequence[Written]) -> Written:
    """Put arguments into ``#1``..``#9``, all at once, in parentheses where they need them."""

    def put(slot: re.Match[str]) -> str:
        argument = arguments[int(slot[1]) - 1]
        fits = argument.form <= _loosest(template[: slot.start()], template[slot.end() :])
        return argument.latex if fits else f"({argument.latex})"

    return Written(SLOT.sub(put, template), form_of(template))


def form_of(template: str) -> Form:
    """Return the form of a template's results, whatever its arguments are."""
    rest, before = template, ""
    while rest != before:
        rest, before = GROUP.sub("", rest), rest
    if OPERATOR.search(rest) or (SLOT.search(rest) and not SLOT.match(rest)):
        return Form.COMPOUND
    return Form.SCRIPTED if re.search(r"[\^_]", rest) else Form.ATOM


def _loosest(before: str, after: str) -> Form:
    """Return the loosest form that needs no parentheses between these two parts of a template."""
    for opening, closing in BRACKETS.items():
        # Braces group visibly only as a command's argument or a script: \sqrt{x}, e^{x}.
        visible = opening != "{" or re.search(r"(\\[A-Za-z]+|[\^_])\{$", before)
        if visible and before.endswith(opening) and after.startswith(closing):
            return Form.COMPOUND
    starts, ends = before.strip(), after.strip()
    if (not starts or starts.endswith("+")) and (not ends or ends.startswith(("+", "-"))):
        return Form.COMPOUND
    return Form.ATOM if ends.startswith(("^", "_")) else Form.SCRIPTED


def _factor(term: Term, number: int) -> str:
    """Write weight and scale in front of a tree; a 1 is left out."""
    values = [value for value in (term.weight, term.scale) if value is not None and value != 1]
    factors = [number_latex(value).latex for value in values]
    if term.scale is None:
        factors.append(f"c_{{{number}}}")
    return r" \cdot ".join(factors) + r" \, " if factors else ""


def _where(distiller: Distiller, primitive_set: PrimitiveSet) -> str:
    """Explain the letters: inputs, sides, scales still to be measured."""
    if not distiller.terms:
        return "The student alone, without distillation."
    names = dict.fromkeys(node.name for term in distiller.terms for node in term.tree)
    known = [primitive_set.declarations.get(name) for name in names]
    inputs = [f"${d.latex}$ {_escaped(d.name)}" for d in known if isinstance(d, Input)]
    unknown = [f"$c_{{{n}}}$" for n, term in enumerate(distiller.terms, 1) if term.scale is None]
    scales = f"; {', '.join(unknown)} to be measured on the pair" if unknown else ""
    learned = [d for d in known if isinstance(d, Learned) and d.sides == "student"]
    alone = [f"; {_escaped(d.name)} changes the student's side alone" for d in learned]
    return f"where $S$ is the student, $T$ the teacher, {', '.join(inputs)}{''.join(alone)}{scales}."


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")
