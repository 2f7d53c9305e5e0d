"""A scene as SVG: text stays text, and says in words what it shows."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from detkds_gp.export.fonts import STACKS
from detkds_gp.export.scene import BASELINE, Area, Group, Item, Line, Scene, Words
from detkds_gp.export.themes import AUTO, DARK, THEMES, Theme

UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SCOPE = "detkds-auto"


def svg_text(scene: Scene, theme: str = "light") -> str:
    """Return a scene as SVG; the same scene gives the same bytes.

    Groups have the class ``node``, ``edge``, ``title`` or ``legend``; ``data-`` attributes say what
    a node or an edge stands for. With ``auto`` colours follow the reader's light or dark setting,
    without touching other pictures on the page.

    Args:
        scene: what to paint.
        theme: ``light``, ``dark`` or ``auto``.
    """
    colours = THEMES[theme]
    size = {"width": _number(scene.width), "height": _number(scene.height)}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size})
    root.set("viewBox", f"0 0 {size['width']} {size['height']}")
    root.set("role", "img")
    root.set("aria-label", _written(scene.label))
    SubElement(root, "title").text = _written(scene.title)
    SubElement(root, "desc").text = _written(scene.description)
    if theme == AUTO:
        root.set("class", SCOPE)
        SubElement(root, "style").text = _dark_rules()
    _paint(root, Area(0, 0, scene.width, scene.height, "paper"), colours)
    for group in scene.groups:
        _add_group(root, group, colours)
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_group(root: Element, group: Group, colours: Theme) -> None:
    data = {f"data-{key}": _written(value) for key, value in group.data.items()}
    element = SubElement(root, "g", {"class": group.sort, **data})
    if group.tip:
        SubElement(element, "title").text = _written(group.tip)
    for item in group.items:
        _paint(element, item, colours)


def _paint(parent: Element, item: Item, colours: Theme) -> None:
    if isinstance(item, Area):
        _area(parent, item, colours)
    elif isinstance(item, Line):
        _line(parent, item, colours)
    else:
        _words(parent, item, colours)


def _area(parent: Element, item: Area, colours: Theme) -> None:
    places = {"x": item.x, "y": item.y, "width": item.width, "height": item.height, "rx": item.radius}
    element = SubElement(parent, "rect", {name: _number(value) for name, value in places.items()})
    element.set("fill", colours[item.fill])
    if item.line:
        element.set("stroke", colours[item.line])
        element.set("stroke-width", _number(item.stroke))
    element.set("class", f"fill-{item.fill} stroke-{item.line}" if item.line else f"fill-{item.fill}")


def _line(parent: Element, item: Line, colours: Theme) -> None:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in item.points)
    style = {"fill": "none", "stroke": colours[item.ink], "stroke-width": _number(item.width)}
    SubElement(parent, "polyline", {"points": points, **style, "class": f"stroke-{item.ink}"})


def _words(parent: Element, item: Words, colours: Theme) -> None:
    style = {"font-family": STACKS[item.face], "font-size": _number(item.size), "fill": colours[item.ink]}
    style |= {"text-anchor": "middle"} if item.centred else {}
    style |= {"font-weight": "bold"} if item.bold else {}
    element = SubElement(parent, "text", {**style, "class": f"fill-{item.ink}"})
    for row, line in enumerate(item.lines):
        said = element if len(item.lines) == 1 else SubElement(element, "tspan")
        said.set("x", _number(item.x))
        said.set("y", _number(item.y + item.size * BASELINE + row * item.leading))
        said.text = _written(line)


def _dark_rules() -> str:
    rules = "".join(
        f".{SCOPE} .fill-{ink}{{fill:{colour}}}.{SCOPE} .stroke-{ink}{{stroke:{colour}}}"
        for ink, colour in DARK.items()
    )
    return f"@media (prefers-color-scheme:dark){{{rules}}}"


def _written(text: str) -> str:
    """Replace what XML cannot hold."""
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
