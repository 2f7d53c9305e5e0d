"""A scene as a matplotlib figure, and as PNG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from detkds_gp.errors import UserError
from detkds_gp.export.fonts import FACES
from detkds_gp.export.scene import BASELINE, Area, Item, Line, Scene, Words
from detkds_gp.export.themes import THEMES, Theme

INCH, POINT = 96.0, 0.75  # pixels an inch; points a pixel
DPI = 192
ARC = 0.5523  # how far a cubic's handles reach to draw a quarter of a circle
MAX_PIXELS = 60_000_000


def to_figure(scene: Scene, theme: str = "light") -> Figure:
    """Return a scene as a figure of no window, e.g. to save it as PDF."""
    colours = THEMES[theme]
    with _plain_style():
        figure = Figure(figsize=(scene.width / INCH, scene.height / INCH), facecolor=colours["paper"])
        # The scene counts pixels from the top left, matplotlib inches from the bottom left.
        down = Affine2D().scale(1 / INCH, -1 / INCH).translate(0, scene.height / INCH) + figure.dpi_scale_trans
        for order, item in enumerate(scene.items):
            _paint(figure, item, {"transform": down, "zorder": order}, colours)
    return figure


def png_bytes(scene: Scene, theme: str = "light") -> bytes:
    """Return a scene as PNG, two dots a pixel.

    Raises:
        UserError: if it had more than 60 million dots.
    """
    width, height = scene.width * DPI / INCH, scene.height * DPI / INCH
    if width * height > MAX_PIXELS:
        raise UserError(f"the drawing has {width:.0f} x {height:.0f} dots, too many for png; export svg")
    buffer = io.BytesIO()
    figure = to_figure(scene, theme)
    with _plain_style(), warnings.catch_warnings():
        # Captions may hold letters that matplotlib's face lacks; it draws boxes for them.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        metadata = {"Title": scene.title, "Description": scene.description, "Software": None}
        figure.savefig(buffer, format="png", dpi=DPI, metadata=metadata)
    return buffer.getvalue()


@contextmanager
def _plain_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever a matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def _paint(figure: Figure, item: Item, place: dict[str, Any], colours: Theme) -> None:
    if isinstance(item, Words):
        _words(figure, item, place, colours)
    elif isinstance(item, Line):
        x, y = zip(*item.points, strict=True)
        style: dict[str, Any] = {"color": colours[item.ink], "linewidth": item.width * POINT}
        figure.add_artist(Line2D(x, y, solid_capstyle="butt", **style, **place), clip=False)
    else:
        figure.add_artist(_area(item, place, colours), clip=False)


def _area(item: Area, place: dict[str, Any], colours: Theme) -> PathPatch:
    style = {"facecolor": colours[item.fill], "edgecolor": "none", "linewidth": 0.0, **place}
    if item.line:
        style |= {"edgecolor": colours[item.line], "linewidth": item.stroke * POINT}
    return PathPatch(_outline(item), **style)


def _outline(item: Area) -> Path:
    """Return a rectangle whose corners are arcs, as in SVG (matplotlib's own rounding is no circle)."""
    left, top, right, bottom = item.x, item.y, item.x + item.width, item.y + item.height
    r = min(item.radius, item.width / 2, item.height / 2)
    k = r * (1 - ARC)
    corners = ((right, top, (1, 0)), (right, bottom, (0, 1)), (left, bottom, (-1, 0)), (left, top, (0, -1)))
    points = [(left + r, top)]
    for x, y, (a, b) in corners:  # into a corner by (a, b), out of it by (-b, a)
        points += [(x - a * r, y - b * r), (x - a * k, y - b * k), (x - b * k, y + a * k), (x - b * r, y + a * r)]
    side = [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    return Path([*points, points[0]], [Path.MOVETO, *side * 4, Path.CLOSEPOLY])


def _words(figure: Figure, item: Words, place: dict[str, Any], colours: Theme) -> None:
    font = FontProperties(family=FACES[item.face], weight="bold" if item.bold else "normal", size=item.size * POINT)
    style: dict[str, Any] = {"color": colours[item.ink], "parse_math": False, **place}
    for row, line in enumerate(item.lines):
        y = item.y + item.size * BASELINE + row * item.leading
        ha = "center" if item.centred else "left"
        figure.text(item.x, y, line, fontproperties=font, ha=ha, va="baseline", **style)
