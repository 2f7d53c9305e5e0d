from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pytest

from detkds_gp.export import THEMES, Panel
from detkds_gp.export.boxes import boxes
from detkds_gp.export.drawing import compose
from detkds_gp.export.groups import tree_groups
from detkds_gp.export.plan import plan
from detkds_gp.export.scene import Scene
from detkds_gp.export.svg import svg_text
from detkds_gp.export.themes import DARK, LIGHT
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI

TWO = "2 * 0.037 * l2(weighted(unit_channel(global), teacher_spatial_attention(global, 0.5)))" + (
    " + 1 * calibrated * binary_kl(units(class_logits, 2))"
)
SVG = "{http://www.w3.org/2000/svg}"


def _svg(text: str = TWO, theme: str = "light", caption: str = "") -> str:
    return svg_text(compose([Panel(parse_distiller(text, OMNI), OMNI, caption)]), theme)


def _said(element: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()).strip() for text in element.iter(f"{SVG}text")]


def test_all_words_are_text():
    words = _said(ElementTree.fromstring(_svg()))
    for name in re.findall(r"[a-z_]+\d?\w*", TWO):
        assert name in words or name == "calibrated", name
    assert "2 × 0.037" in words
    assert "1 × calibrated" in words


def test_structure_is_that_of_the_scene(random_distillers):
    for distiller in random_distillers[::6]:
        scene = compose([Panel(distiller, OMNI)])
        root = ElementTree.fromstring(svg_text(scene))
        groups = root.findall(f"{SVG}g")
        assert [group.get("class") for group in groups] == [group.sort for group in scene.groups]
        for element, group in zip(groups, scene.groups, strict=True):
            data = {k.removeprefix("data-"): v for k, v in element.attrib.items() if k.startswith("data-")}
            assert data == dict(group.data)
            if group.sort == "node":
                assert data["label"] in _said(element)[0].replace("\n", "").replace(" ", "")


def test_it_can_be_heard():
    root = ElementTree.fromstring(_svg("0.5 * 2 * l2(relu(global))"))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "0.5 times 2 times l2 of relu of global"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == "0.5 * 2 * l2(relu(global))"
    assert root[1].tag == f"{SVG}desc"
    assert "4 nodes" in root[1].text
    tips = [group.find(f"{SVG}title").text for group in root.iter(f"{SVG}g") if group.get("class") == "node"]
    assert tips[1] == f"relu → Map 2×8×9×11. {OMNI.declarations['relu'].doc}"


@pytest.mark.parametrize(("theme", "colours"), [("light", LIGHT), ("dark", DARK), ("auto", LIGHT)])
def test_colours_are_the_themes(theme, colours):
    svg = _svg(theme=theme)
    root = ElementTree.fromstring(svg)
    used = {e.get(k) for e in root.iter() for k in ("fill", "stroke")} - {None, "none"}
    assert used <= set(colours.values())
    assert root.find(f"{SVG}rect").get("fill") == colours["paper"]
    assert ("prefers-color-scheme" in svg) == (theme == "auto")


def test_auto_darkens_every_ink_of_its_own_picture_only():
    root = ElementTree.fromstring(_svg(theme="auto"))
    style = root.find(f"{SVG}style").text
    rules = dict(re.findall(r"\.detkds-auto \.([\w-]+)\{\w+:(#\w+)\}", style))
    assert root.get("class") == "detkds-auto"
    for element in root.iter():
        for name in (element.get("class") or "").split():
            sort, _, ink = name.partition("-")
            if sort in ("fill", "stroke"):
                assert rules[name] == DARK[ink]
    assert re.fullmatch(r"@media \(prefers-color-scheme:dark\)\{(\.detkds-auto \.[\w-]+\{\w+:#\w+\})+\}", style)


@pytest.mark.parametrize("theme", THEMES)
def test_hostile_names_are_text(hostile_graph, theme):
    groups = tuple(tree_groups(plan(boxes(hostile_graph)), (10, 10), 0))
    labels = [hostile_graph.nodes[node]["label"] for node in hostile_graph]
    svg = svg_text(Scene(500, 500, groups, *labels), theme)
    root = ElementTree.fromstring(svg)
    assert "<script" not in svg
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "g", "rect", "polyline", "text", "tspan", "title", "desc", "style"}
    nodes = [group for group in root.iter(f"{SVG}g") if group.get("class") == "node"]
    assert [node.get("data-label") for node in nodes] == labels
    for node, label in zip(nodes, labels, strict=True):
        lines = [t.text for t in node.iter() if t.tag in (f"{SVG}text", f"{SVG}tspan") and t.text and t.text.strip()]
        assert "".join(lines) == label
    assert root.get("aria-label") == labels[2]


@pytest.mark.parametrize("caption", ["a\x00b\x1b[0m", "\ud800", "\u202eevil", "\ufffe", "tab\tand\nnewline", "]]>"])
def test_captions_that_xml_cannot_hold_are_mended(caption):
    root = ElementTree.fromstring(_svg(caption=caption).encode())
    assert any("\ufffd" in word or word.split() == caption.split() for word in _said(root))


def test_it_is_the_same_under_every_matplotlibrc():
    here = _svg()
    with matplotlib.rc_context({"font.size": 30, "font.family": "serif", "text.color": "red"}):
        assert _svg() == here


PRINT_SVG = """
import sys
from detkds_gp.export import export
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI
sys.stdout.reconfigure(encoding="utf-8")
sys.stdout.write(export(parse_distiller(sys.argv[1], OMNI), OMNI, "svg"))
"""


@pytest.mark.slow
def test_it_is_the_same_in_every_process():
    there = subprocess.run([sys.executable, "-c", PRINT_SVG, TWO], capture_output=True, check=True)
    assert there.stdout.decode() == _svg()
