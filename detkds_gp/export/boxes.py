"""What a drawing of a formula shows: one box a primitive, with its numbers, in its colour."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx


@dataclass(frozen=True)
class Style:
    """How the boxes of one sort look, and what the legend calls them."""

    title: str
    fill: str
    line: str
    ink: str = "#1f2933"


STYLES = {
    "knowledge": Style("knowledge", "#eef4ea", "#5b8c51"),
    "transform": Style("transform", "#f1f3f6", "#8492a6"),
    "pair_transform": Style("pair transform", "#f3eafb", "#9064bd"),
    "field": Style("field, weighting", "#fff7d6", "#b89b1f"),
    "distance": Style("distance", "#c3414b", "#8f2b34", "#ffffff"),
    "combiner": Style("combiner", "#3d4b5c", "#2b3642", "#ffffff"),
}
STUDENT, TEACHER, SHARED = "#1f77c9", "#d96f0e", "#8a94a0"


@dataclass(frozen=True)
class Link:
    """A line from the box of an argument.

    Attributes:
        box: index of the argument's box.
        sided: whether student and teacher pass, as two lines.
        label: what is written on the line.
    """

    box: int
    sided: bool
    label: str = ""


@dataclass(frozen=True)
class Box:
    """One box.

    Attributes:
        name: of the primitive.
        detail: its numbers, e.g. ``temperature 2``.
        style: key of STYLES.
        links: the lines that enter it, first arguments first.
        source: whether it is a leaf that both detectors give.
    """

    name: str
    detail: str
    style: str
    links: tuple[Link, ...]
    source: bool = False


def boxes(graph: nx.DiGraph) -> list[Box]:
    """Turn the graph of `to_networkx` into boxes, arguments first, the root last."""
    made: list[Box] = []
    numbers: dict[int, int] = {}
    for node, attributes in graph.nodes(data=True):
        if attributes["role"] == "constant" and graph.out_degree(node):
            continue
        incoming = sorted(graph.in_edges(node, data=True), key=lambda edge: edge[2]["position"])
        constants = [edge for edge in incoming if edge[0] not in numbers]
        detail = ", ".join(f"{e['asked'].lower()} {graph.nodes[u]['label']}" for u, _, e in constants)
        links = tuple(Link(numbers[u], e["sided"], e["label"]) for u, _, e in incoming if u in numbers)
        role, sided = attributes["role"], attributes["sided"]
        fielded = any(not graph.nodes[u]["sided"] for u, _, _ in incoming if u in numbers)
        numbers[node] = len(made)
        style = _style(role, sided, fielded)
        made.append(Box(attributes["label"], detail, style, links, role == "input" and sided))
    return made


def _style(role: str, sided: bool, fielded: bool) -> str:
    """Choose by role; what gives or takes a field stands apart."""
    if role in ("sum", "combiner"):
        return "combiner"
    if role == "distance":
        return role
    if fielded or not sided:
        return "field"
    return "knowledge" if role == "input" else role
