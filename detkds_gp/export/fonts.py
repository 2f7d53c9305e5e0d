"""How wide a text runs, in pixels of 1/96 inch, and where names, sentences and formulas are broken into lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

FACES = {"sans": "DejaVu Sans", "mono": "DejaVu Sans Mono"}
"""The faces that widths are measured in: matplotlib ships them, and common screen faces are narrower."""

STACKS = {
    "sans": "DejaVu Sans, Verdana, Segoe UI, Helvetica, Arial, sans-serif",
    "mono": "DejaVu Sans Mono, Menlo, Consolas, monospace",
}
"""The faces that an SVG asks for, first choice first."""

BOLD = 1.14
"""How much wider bold letters run, at most."""

INDENT = "    "
"""Of a line by which a term of a formula goes on."""


def text_width(text: str, size: float, face: str = "sans", bold: bool = False) -> float:
    """Return the width of a text of ``size`` pixels; letters the face lacks count as a square."""
    return sum(_advance(letter, face) for letter in text) * size * (BOLD if bold else 1.0)


def wrapped_name(name: str, letters: int) -> list[str]:
    """Break a name into lines of at most ``letters``, after ``_`` where there is one; nothing is lost."""
    lines = [""]
    for piece in re.findall(r"[^_]*_+|[^_]+", name) or [name]:
        for start in range(0, len(piece), letters):
            part = piece[start : start + letters]
            if lines[-1] and len(lines[-1]) + len(part) > letters:
                lines.append("")
            lines[-1] += part
    return lines


def wrapped_words(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """Break a text into lines of at most ``width`` pixels, between words where it can be."""
    lines = [""]
    for word in re.findall(r"\S*\s*", text):
        if lines[-1] and text_width(lines[-1] + word.rstrip(), size, bold=bold) > width:
            lines.append("")
        for letter in word:
            if lines[-1] and not letter.isspace() and text_width(lines[-1] + letter, size, bold=bold) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def wrapped(formula: str, columns: int) -> list[str]:
    """Break a formula into lines: one a term, long ones at commas and opening brackets, or else anywhere.

    Args:
        formula: its text.
        columns: letters a line holds, more than the 4 that a line which goes on is indented.
    """
    lines = []
    for number, term in enumerate(formula.split(" + ")):
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


@cache
def _font(face: str) -> FT2Font:
    from matplotlib.font_manager import findfont, get_font  # texts alone are exported without matplotlib

    return get_font(findfont(FACES[face]))


@lru_cache(maxsize=4096)
def _advance(letter: str, face: str) -> float:
    """Return how far a letter moves the pen, in units of the size."""
    font = _font(face)
    if not font.get_char_index(ord(letter)):
        return 1.0
    font.set_size(64, 72)
    return float(font.load_char(ord(letter)).linearHoriAdvance) / 65536 / 64
