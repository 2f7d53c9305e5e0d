"""What a drawing consists of, in pixels from the top left: painters turn it into SVG or PNG.

Colours are names of inks, so that one scene can be painted in every theme.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
BASELINE = 0.36
"""How far below its middle a line of text has its baseline, in units of the size."""


@dataclass(frozen=True)
class Area:
    """A rectangle from its left upper corner; ``fill`` is its ink, ``line`` that of its outline if it has one."""

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
    """A text of one or several lines, which joined are the whole text.

    Attributes:
        x: of its middle, or of its left end if it is not ``centred``.
        y: of the middle of its first line.
        face: ``sans`` or ``mono``.
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
    """A whole drawing: the size of its paper, its groups (first ones lie below), and what it says in words.

    Attributes:
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
