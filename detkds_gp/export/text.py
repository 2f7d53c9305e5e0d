"""A formula as its text, in one line or broken into lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from detkds_gp.export.graph import Formula
from detkds_gp.language import Distiller
from detkds_gp.language import to_text as tree_text

INDENT = "    "


def formula_text(formula: Formula) -> str:
    """Return the text of a distiller or of a tree."""
    return formula.text if isinstance(formula, Distiller) else tree_text(formula)


def wrapped(text: str, columns: int) -> list[str]:
    """Break a formula into lines: one a term, long ones at commas and opening brackets, or else anywhere.

    Args:
        text: the formula.
        columns: letters a line holds, more than the 4 that a line which goes on is indented.
    """
    lines = []
    for number, term in enumerate(text.split(" + ")):
        line = "+ " if number else ""
        for piece in _pieces(term, columns - len(INDENT)):
            if len(line) + len(piece.rstrip()) > columns and line.strip():
                lines.append(line.rstrip())
                line = INDENT
            line += piece
        lines.append(line.rstrip())
    return lines


def _pieces(term: str, longest: int) -> Iterator[str]:
    for piece in re.findall(r"[^(,]*(?:\(|, |,$|$)", term):
        yield from (piece[start : start + longest] for start in range(0, len(piece), longest))
