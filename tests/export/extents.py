"""What the letters of a drawing cover."""

from __future__ import annotations

from detkds_gp.export.fonts import text_width
from detkds_gp.export.scene import Words


def extent(words: Words) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of what the letters cover."""
    width = max(text_width(line, words.size, words.face, words.bold) for line in words.lines)
    left = words.x - width / 2 if words.centred else words.x
    bottom = words.y + (len(words.lines) - 1) * words.leading + words.size / 2
    return left, words.y - words.size / 2, left + width, bottom
