from __future__ import annotations

import sys
from html import unescape
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from detkds_gp.errors import UserError
from detkds_gp.export import Look, Picture, show_in_notebook
from detkds_gp.language import Distiller, parse_distiller, parse_tree
from detkds_gp.primitives import OMNI

ONE, OTHER = (parse_distiller(f"{name}(unit_channel(global))", OMNI) for name in ("l1", "l2"))


def _labels(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [g.get("data-label") for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("class") == "node"]


def test_a_cell_shows_drawing_and_formula():
    html = Picture(ONE, OMNI)._repr_html_()
    svg, _, latex = html.removeprefix('<div style="overflow-x:auto">').partition("</div>\n")
    assert _labels(svg) == ["global", "unit_channel", "l1", "loss"]
    assert "prefers-color-scheme" in svg
    assert Picture(ONE, OMNI)._repr_svg_() == svg
    assert unescape(latex) == f"<div>{Picture(ONE, OMNI)._repr_latex_()}</div>"


def test_latex_is_a_block_that_mathjax_reads():
    latex = Picture(ONE, OMNI).beside(Picture(OTHER, OMNI))._repr_latex_()
    blocks = latex.split("\n\n")
    assert len(blocks) == 2
    for block in blocks:
        assert block.startswith("$$\n\\begin{aligned}\n  \\mathcal{L} ={}& ")
        assert block.endswith("\\end{aligned}\n$$")


def test_pictures_stand_beside_each_other():
    pictures = [Picture(distiller, OMNI, caption=name) for distiller, name in ((ONE, "a"), (OTHER, "b"))]
    both = pictures[0].beside(pictures[1])
    assert _labels(both.svg()) == ["global", "unit_channel", "l1", "loss", "global", "unit_channel", "l2", "loss"]
    assert "in this formula only" not in both.svg()
    assert [panel.caption for panel in both.panels] == ["a", "b"]


def test_a_picture_against_another_marks_the_difference():
    svg = Picture(ONE, OMNI).against(Picture(OTHER, OMNI)).svg()
    root = ElementTree.fromstring(svg)
    assert [g.get("data-label") for g in root.iter() if g.get("data-only")] == ["l1", "l2"]
    with pytest.raises(UserError, match="got 3 formulas, wanted 2"):
        Picture(ONE, OMNI).beside(Picture(ONE, OMNI)).against(Picture(OTHER, OMNI))


def test_a_tree_alone_and_real_shapes():
    picture = Picture(parse_tree("l2(global)", OMNI), OMNI, shapes={"global": (4, 256, 80, 80)}, look=Look("dark"))
    assert "Map 4×256×80×80" in picture.svg()
    assert picture._repr_html_().endswith("<div></div>")
    assert isinstance(picture.figure(), Figure)


def test_save_goes_by_the_files_ending(tmp_path):
    picture = Picture(ONE, OMNI)
    for name, start in (("tree.svg", b"<svg"), ("tree.png", b"\x89PNG"), ("tree.dot", b"digraph")):
        picture.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    for name in ("tree", "tree.pdf", "tree.json"):
        with pytest.raises(UserError, match=r"wanted one that ends in \.dot, \.svg, \.png"):
            picture.save(tmp_path / name)


def test_distillers_show_themselves_in_a_notebook():
    formatters = {}
    html = SimpleNamespace(for_type=formatters.__setitem__)
    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters={"text/html": html}))
    show_in_notebook(OMNI, shell)
    assert formatters[Distiller](ONE) == Picture(ONE, OMNI)._repr_html_()


def test_outside_of_a_notebook_the_remedy_is_said(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with pytest.raises(UserError, match=r"no notebook is running; write Picture"):
        show_in_notebook(OMNI)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    with pytest.raises(UserError, match="no notebook is running"):
        show_in_notebook(OMNI)
