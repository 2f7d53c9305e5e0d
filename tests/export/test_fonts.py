from __future__ import annotations

import re

import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from detkds_gp.export import Panel
from detkds_gp.export.fonts import FACES, text_width, wrapped, wrapped_name
from detkds_gp.language import parse_distiller, parse_tree
from detkds_gp.primitives import OMNI


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("text", [*list(OMNI.declarations)[:12], "2 × 0.037", "Map 2×8×9×11", "WWW", "iii"])
def test_widths_are_those_of_the_renderer_that_paints_png(face, text):
    font = FontProperties(family=FACES[face], size=13 * 0.75)
    painted = RendererAgg(10, 10, 96 * 8).get_text_width_height_descent(text, font, False)[0] / 8
    # The renderer counts ink, the width the pen's way.
    assert text_width(text, 13, face) == pytest.approx(painted, abs=2)


def test_bold_letters_are_given_their_room():
    font = FontProperties(family=FACES["sans"], size=13 * 0.75, weight="bold")
    renderer = RendererAgg(10, 10, 96 * 8)
    for text in ("2 × 0.037", "0.5 × calibrated", "minimum"):
        painted = renderer.get_text_width_height_descent(text, font, False)[0] / 8
        assert painted - 1 <= text_width(text, 13, bold=True) <= painted + 8


def test_letters_that_the_face_lacks_have_a_width():
    assert text_width("漢字", 10) == pytest.approx(20)
    assert text_width("", 10) == 0


@pytest.mark.parametrize("letters", [5, 12, 26])
@pytest.mark.parametrize("name", ["x", "l2", *list(OMNI.declarations)[:20], "_" * 40, "a" * 200, "short_" * 30, ""])
def test_wrapped_names_lose_nothing_and_fit(name, letters):
    lines = wrapped_name(name, letters)
    assert "".join(lines) == name
    assert max(map(len, lines)) <= letters
    assert lines


def test_names_break_after_underscores():
    assert wrapped_name("teacher_spatial_attention", 18) == ["teacher_spatial_", "attention"]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_wrapped_loses_nothing(random_distillers, columns):
    for distiller in random_distillers:
        lines = wrapped(distiller.text, columns)
        assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", distiller.text)
        assert max(map(len, lines)) <= columns
    assert wrapped("1 * 1 * l2(global)", columns) == ["1 * 1 * l2(global)"]


def test_a_distiller_and_a_tree_have_a_text():
    assert Panel(parse_distiller("l2(global)", OMNI), OMNI).text == "1 * 1 * l2(global)"
    assert Panel(parse_tree("l2( global )", OMNI), OMNI).text == "l2(global)"
