"""What a drawing of a tree shows: one box a node, and above it what it passes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkds_gp.export.fonts import text_width, wrapped_name
from detkds_gp.export.graph import arguments_of, shape_text

if TYPE_CHECKING:
    import networkx as nx

NAME_SIZE, NAME_LEADING, NAME_LETTERS = 13.0, 16.0, 26
LABEL_SIZE, LABEL_LEADING, LABEL_LETTERS = 10.5, 13.0, 30
PADDING_X, PADDING_Y, MIN_WIDTH = 11.0, 7.0, 26.0
PORT = 22.0  # room on the lower edge for the line of one argument


@dataclass(frozen=True)
class Box:
    """One node of a tree.

    Attributes:
        lines: its name, broken into lines.
        family: as `to_networkx` says.
        below: the boxes of its arguments, first ones first.
        sided: whether it passes student and teacher on, as two lines.
        weight: what its consumer multiplies it by, if it does.
        passed: kind and shape of what it passes on, broken into lines; empty at the root.
        tip: its whole name, what it gives and does.
        only: whether the formula compared with has no such node.
        reweighted: whether the formula compared with weighs it otherwise.
    """

    lines: tuple[str, ...]
    family: str
    below: tuple[int, ...]
    sided: bool
    weight: str = ""
    passed: tuple[str, ...] = ()
    tip: str = ""
    only: bool = False
    reweighted: bool = False

    @property
    def name(self) -> str:
        """The whole name."""
        return "".join(self.lines)

    @property
    def width(self) -> float:
        """Of the box alone."""
        letters = max(text_width(line, NAME_SIZE) for line in self.lines)
        return max(letters + 2 * PADDING_X, PORT * len(self.below), MIN_WIDTH)

    @property
    def height(self) -> float:
        """Of the box alone."""
        return NAME_LEADING * len(self.lines) + 2 * PADDING_Y

    @property
    def label_height(self) -> float:
        """Of what stands above the box."""
        return LABEL_LEADING * (bool(self.weight) + len(self.passed))

    @property
    def label_width(self) -> float:
        """Of what stands above the box."""
        weight = text_width(self.weight, LABEL_SIZE, bold=True)
        return max([weight, *(text_width(line, LABEL_SIZE) for line in self.passed)])


def boxes(graph: nx.DiGraph) -> list[Box]:
    """Turn a graph of `to_networkx` into boxes, in its order: arguments first, the root last."""
    return [_box(graph, node) for node in graph]


def _box(graph: nx.DiGraph, node: int) -> Box:
    attributes = graph.nodes[node]
    outgoing = [edge for *_, edge in graph.out_edges(node, data=True)]
    shape = shape_text(attributes["shape"])
    gives = " ".join(filter(None, [attributes["kind"], shape]))
    return Box(
        lines=tuple(wrapped_name(attributes["label"], NAME_LETTERS)),
        family=attributes["family"],
        below=tuple(arguments_of(graph, node)),
        sided=attributes["sided"],
        weight=outgoing[0]["label"] if outgoing else "",
        passed=_passed(attributes["kind"], shape) if outgoing else (),
        tip=f"{attributes['label']} → {gives}. {attributes['doc']}",
        only=attributes.get("only", False),
        reweighted=bool(outgoing and outgoing[0].get("reweighted", False)),
    )


def _passed(kind: str, shape: str) -> tuple[str, ...]:
    """Write kind and shape in one line where they are short."""
    if len(kind) + len(shape) < LABEL_LETTERS:
        return (f"{kind} {shape}".strip(),)
    return tuple(line for part in (kind, shape) if part for line in wrapped_name(part, LABEL_LETTERS))
