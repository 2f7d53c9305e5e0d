"""A tidy layered tree (Reingold and Tilford, 1981) for boxes of any width, without recursion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Below = Sequence[Sequence[int]]


@dataclass
class _Outline:
    """How far a subtree reaches from its root's centre, the deepest layer first."""

    left: list[float]
    right: list[float]

    def move(self, by: float) -> None:
        if by:
            self.left = [x + by for x in self.left]
            self.right = [x + by for x in self.right]

    def gap_to(self, other: _Outline) -> float:
        """Return the smallest free width between this and another outline to its right."""
        # Outlines start at the deepest layer; read from their ends, layers are level.
        shared = zip(reversed(self.right), reversed(other.left), strict=False)
        return min(left - right for right, left in shared)

    def join(self, other: _Outline) -> None:
        """Take in an outline to the right."""
        deeper = len(other.left) - len(self.left)
        if deeper > 0:
            self.left = other.left[:deeper] + self.left
            self.right = other.right
        else:
            kept = len(self.right) - len(other.right)
            self.right = self.right[:kept] + other.right


def layers(below: Below) -> list[int]:
    """Return every node's distance from the root, which stands last.

    Args:
        below: for every node the nodes drawn under it, each an earlier index.
    """
    depth = [0] * len(below)
    for node in reversed(range(len(below))):
        for child in below[node]:
            depth[child] = depth[node] + 1
    return depth


def centres(below: Below, widths: Sequence[float], gap: float) -> list[float]:
    """Return the x of every node's centre.

    No two nodes of a layer come nearer than ``gap``, a parent stands midway between its first and
    last child, siblings keep their order, and the leftmost edge is at 0.

    Args:
        below: as for `layers`.
        widths: of the nodes, in the unit of ``gap`` and of the result.
        gap: free width between neighbours.
    """
    offsets = [0.0] * len(below)
    outlines: dict[int, _Outline] = {}
    for node, children in enumerate(below):
        half = widths[node] / 2
        outline = _in_a_row(children, outlines, offsets, gap) if children else _Outline([], [])
        outline.left.append(-half)
        outline.right.append(half)
        outlines[node] = outline
    shift = -min(outlines[len(below) - 1].left)
    places = [shift] * len(below)
    for node in reversed(range(len(below))):
        for child in below[node]:
            places[child] = places[node] + offsets[child]
    return places


def _in_a_row(children: Sequence[int], outlines: dict[int, _Outline], offsets: list[float], gap: float) -> _Outline:
    """Push subtrees together from the left; fill in their offsets from the middle."""
    row = outlines.pop(children[0])
    for child in children[1:]:
        outline = outlines.pop(child)
        offsets[child] = gap - row.gap_to(outline)
        outline.move(offsets[child])
        row.join(outline)
    middle = offsets[children[-1]] / 2
    for child in children:
        offsets[child] -= middle
    row.move(-middle)
    return row
