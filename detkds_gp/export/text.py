"""A formula as its canonical text, in one line or broken into lines."""

from __future__ import annotations

import re

from detkds_gp.export.graph import Formula
from detkds_gp.language import Distiller, PrimitiveSet
from detkds_gp.language import to_text as tree_text


def to_text(distiller: Distiller, primitive_set: PrimitiveSet) -> str:
    """Return the canonical text and a line end; `parse_distiller` reads it back."""
    return distiller.text + "\n"


def formula_text(formula: Formula) -> str:
    """Return the text of a distiller or of a tree."""
    return formula.text if isinstance(formula, Distiller) else tree_text(formula)


def wrapped(text: str, columns: int) -> list[str]:
    """Break a formula into lines: one a term, long ones at commas and opening brackets."""
    lines = []
    for number, term in enumerate(text.split(" + ")):
        line = "+ " if number else ""
        for piece in re.findall(r"[^(,]*(?:\(|, |,$|$)", term):
            if len(line) + len(piece) > columns and line.strip():
                lines.append(line.rstrip())
                line = "    "
            line += piece
        lines.append(line.rstrip())
    return lines
