from __future__ import annotations

import re

import pytest

from detkds_gp.export.text import formula_text, wrapped
from detkds_gp.language import parse_distiller, parse_tree
from detkds_gp.primitives import OMNI


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_wrapped_loses_nothing(random_distillers, columns):
    for distiller in random_distillers:
        lines = wrapped(distiller.text, columns)
        assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", distiller.text)
        assert max(map(len, lines)) <= columns
    assert wrapped("1 * 1 * l2(global)", columns) == ["1 * 1 * l2(global)"]


def test_a_distiller_and_a_tree_have_a_text():
    assert formula_text(parse_distiller("l2(global)", OMNI)) == "1 * 1 * l2(global)"
    assert formula_text(parse_tree("l2( global )", OMNI)) == "l2(global)"
