from __future__ import annotations

import struct
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from detkds_gp.errors import UserError
from detkds_gp.export import Panel
from detkds_gp.export.drawing import compose
from detkds_gp.export.png import png_bytes, to_figure
from detkds_gp.export.scene import Area, Scene, Words
from detkds_gp.export.themes import DARK, LIGHT
from detkds_gp.language import parse_distiller, parse_tree
from detkds_gp.primitives import OMNI

from .extents import extent

TWO = "2 * 0.037 * l2(weighted(unit_channel(global), teacher_spatial_attention(global, 0.5)))" + (
    " + 1 * calibrated * binary_kl(units(class_logits, 2))"
)


def _scene(text: str = TWO, caption: str = "") -> Scene:
    return compose([Panel(parse_distiller(text, OMNI), OMNI, caption)])


def test_png_has_two_dots_a_pixel():
    scene = _scene()
    png = png_bytes(scene)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == pytest.approx((scene.width * 2, scene.height * 2), abs=1)
    assert scene.title.encode() in png


def test_every_word_is_painted_where_the_scene_says():
    scene = _scene()
    figure = to_figure(scene)
    figure.set_dpi(96)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    wanted = [(line, words) for words in scene.items if isinstance(words, Words) for line in words.lines]
    assert [text.get_text() for text in figure.texts] == [line for line, _ in wanted]
    for text, (_, words) in zip(figure.texts, wanted, strict=True):
        painted = text.get_window_extent(canvas.get_renderer())
        left, top, right, bottom = extent(words)
        assert left - 2 <= painted.x0 <= painted.x1 <= right + 2
        assert scene.height - bottom - 6 <= painted.y0 <= painted.y1 <= scene.height - top + 6


@pytest.mark.parametrize(("theme", "colours"), [("light", LIGHT), ("dark", DARK), ("auto", LIGHT)])
def test_boxes_have_the_themes_colours(theme, colours):
    scene = _scene("l2(global)")
    canvas = FigureCanvasAgg(to_figure(scene, theme))
    canvas.figure.set_dpi(96)
    canvas.draw()
    dots = np.asarray(canvas.buffer_rgba())[:, :, :3] / 255
    for area in (item for item in scene.items if isinstance(item, Area) and item.line):
        dot = dots[int(area.y + 4), int(area.x + area.width / 2)]
        assert dot == pytest.approx(to_rgb(colours[area.fill]), abs=0.02)


def test_a_matplotlibrc_changes_nothing_and_stays():
    here, before = png_bytes(_scene()), dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "text.color": "red", "savefig.dpi": 20, "font.family": "serif"}):
        assert png_bytes(_scene()) == here
        assert matplotlib.rcParams["font.size"] == 30
    assert dict(matplotlib.rcParams) == before


def test_letters_without_a_glyph_warn_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png_bytes(_scene("l2(global)", "漢字 $x^2$ שלום"))


def test_drawing_opens_no_pyplot():
    code = "import sys, detkds_gp.export; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_too_large_a_drawing_is_refused():
    chain = parse_tree(f"l2({'relu(' * 900}global{')' * 901}", OMNI)
    with pytest.raises(UserError, match="too many for png; export svg"):
        png_bytes(compose([Panel(chain, OMNI)]))
