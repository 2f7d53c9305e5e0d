"""What a drawing consists of, in pixels from the top left: painters turn it into SVG or PNG.

Colours are names of inks, so that one scene can be painted in every theme.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from detkds_gp.export.fonts import text_width

Point: TypeAlias = tuple[float, float]
BASELINE = 0.36
"""How far below its middle a line of text has its baseline, in units of the size."""


@dataclass(frozen=True)
class Area:
    """A rectangle.

    Attributes:
        x: of the left edge.
        y: of the upper edge.
        width: to the right.
        height: downwards.
        fill: its ink.
        line: the ink of its outline, if it has one.
        radius: of its corners.
        stroke: width of the outline.
    """

    x: float
    y: float
    width: float
    height: float
    fill: str
    line: str = ""
    radius: float = 0.0
    stroke: float = 1.25


@dataclass(frozen=True)
class Line:
    """A line through points."""

    points: tuple[Point, ...]
    ink: str
    width: float = 2.0


@dataclass(frozen=True)
class Words:
    """A text of one or several lines.

    Attributes:
        x: of its middle, or of its left end.
        y: of the middle of its first line.
        lines: what it says; joined they are the whole text.
        size: of the letters.
        ink: its colour.
        centred: whether x is the middle.
        face: ``sans`` or ``mono``.
        bold: whether letters are heavy.
        leading: from line to line.
    """

    x: float
    y: float
    lines: tuple[str, ...]
    size: float
    ink: str = "ink"
    centred: bool = True
    face: str = "sans"
    bold: bool = False
    leading: float = 0.0

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of what the letters cover."""
        width = max(text_width(line, self.size, self.face, self.bold) for line in self.lines)
        left = self.x - width / 2 if self.centred else self.x
        bottom = self.y + (len(self.lines) - 1) * self.leading + self.size / 2
        return left, self.y - self.size / 2, left + width, bottom


Item: TypeAlias = Area | Line | Words


@dataclass(frozen=True)
class Group:
    """Items that belong together.

    Attributes:
        sort: ``node``, ``edge``, ``title`` or ``legend``.
        items: first ones lie below.
        data: what they stand for, by attribute name.
        tip: what a pointer that rests on them is told.
    """

    sort: str
    items: tuple[Item, ...]
    data: Mapping[str, str] = field(default_factory=dict)
    tip: str = ""


@dataclass(frozen=True)
class Scene:
    """A whole drawing: its size, its groups (first ones lie below), and what it says in words.

    Attributes:
        width: of the paper.
        height: of the paper.
        groups: what is on it.
        title: the formulas.
        description: what can be seen, for those who cannot.
        label: the formulas in words.
    """

    width: float
    height: float
    groups: tuple[Group, ...]
    title: str
    description: str
    label: str

    @property
    def items(self) -> Iterator[Item]:
        """Every item, the lowest first."""
        return (item for group in self.groups for item in group.items)
