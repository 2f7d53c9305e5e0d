"""A blank matplotlib figure on which one draws in inches, and its way out as PNG or SVG."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text

from detkds_gp.errors import UserError
from detkds_gp.export.boxes import Style
from detkds_gp.export.plan import SANS, Point

DPI = 150
MAX_PIXELS = 60_000_000
ROUNDING = 0.06


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever a matplotlibrc says; text in SVG stays text."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "detkds_gp"})
        yield


class Sheet:
    """A white figure with its origin at the bottom left.

    Args:
        width: in inches.
        height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), facecolor="white")

    def box(self, corner: Point, size: Point, style: Style) -> None:
        """Draw a rounded box; ``corner`` is its bottom left."""
        shape = f"round,pad=0,rounding_size={min(ROUNDING, size[1] / 3)}"
        colours: Mapping[str, Any] = {"facecolor": style.fill, "edgecolor": style.line}
        self._add(FancyBboxPatch(corner, *size, boxstyle=shape, linewidth=1, **colours), 2)

    def tag(self, corner: Point, size: Point, colour: str) -> None:
        """Draw a plain coloured area inside a box."""
        self._add(Rectangle(corner, *size, facecolor=colour, linewidth=0), 2.5)

    def line(self, points: Sequence[Point], colour: str) -> None:
        """Draw a line through points."""
        x, y = zip(*points, strict=True)
        ends: Mapping[str, Any] = {"solid_capstyle": "butt", "solid_joinstyle": "round"}
        self._add(Line2D(x, y, color=colour, linewidth=1.7, **ends), 3)

    def text(self, at: Point, text: str, size: float, **style: Any) -> Text:
        """Write a text, centred unless ``style`` says otherwise."""
        family = style.pop("family", SANS)
        style = {"ha": "center", "va": "center_baseline", "zorder": 5, **style}
        units = self.figure.dpi_scale_trans
        return self.figure.text(*at, text, fontsize=size, family=family, transform=units, parse_math=False, **style)

    def _add(self, artist: Any, z: float) -> None:
        artist.set_transform(self.figure.dpi_scale_trans)
        artist.set_zorder(z)
        self.figure.add_artist(artist, clip=False)


def png_bytes(figure: Figure, title: str) -> bytes:
    """Return a figure as PNG at 150 dots per inch.

    Raises:
        UserError: if it had more than 60 million pixels.
    """
    width, height = figure.get_size_inches()
    if width * height * DPI**2 > MAX_PIXELS:
        raise UserError(f"the drawing is {width:.0f} x {height:.0f} inches, too large for png; export svg")
    buffer = io.BytesIO()
    with plain_style():
        metadata = {"Title": title, "Software": None}
        figure.savefig(buffer, format="png", dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def svg_text(figure: Figure, title: str, description: str) -> str:
    """Return a figure as SVG, with title and description for those who cannot see it."""
    buffer = io.StringIO()
    with plain_style():
        metadata = {"Title": title, "Date": None, "Creator": None}
        figure.savefig(buffer, format="svg", metadata=metadata)
    head, tail = buffer.getvalue().split("</title>", 1)
    head = head.replace("<svg ", '<svg role="img" ', 1)
    return f"{head}</title>\n <desc>{escape(description)}</desc>{tail}"
