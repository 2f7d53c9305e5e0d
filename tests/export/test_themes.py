from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.colors import to_rgb

from detkds_gp.errors import UserError
from detkds_gp.export import FAMILIES, LAYOUTS, THEMES, Look
from detkds_gp.export.themes import DARK, LIGHT, TITLES


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1: 4.5 for text, 3 for graphics."""
    dark, light = sorted([_luminance(one), _luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_letters_and_lines_stand_out(theme):
    paper = theme["paper"]
    for family in FAMILIES:
        assert _contrast(theme[f"{family}-ink"], theme[f"{family}-fill"]) >= 4.5
        assert _contrast(theme[f"{family}-line"], paper) >= 3
    for ink in ("ink", "muted", "accent"):
        assert _contrast(theme[ink], paper) >= 4.5
    for line in ("student", "teacher", "shared"):
        assert _contrast(theme[line], paper) >= 3


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_family_has_its_own_colours(theme):
    assert list(TITLES) == list(FAMILIES)
    for one, other in combinations(FAMILIES, 2):
        assert theme[f"{one}-fill"] != theme[f"{other}-fill"]
        assert theme[f"{one}-line"] != theme[f"{other}-line"]


def test_both_themes_know_the_same_inks():
    assert set(LIGHT) == set(DARK)


def test_an_unknown_look_lists_the_known():
    with pytest.raises(UserError, match="got theme 'blue', wanted one of light, dark, auto"):
        Look(theme="blue")
    with pytest.raises(UserError, match="got layout 'neat', wanted one of layered, graphviz"):
        Look(layout="neat")
    assert all(Look(theme, layout) for theme in THEMES for layout in LAYOUTS)
