"""Where the nodes of a tree stand: a tidy layered tree (Reingold and Tilford, 1981), or as Graphviz would put them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

from detkds_gp.errors import UserError

Below = Sequence[Sequence[int]]
Outline = list[tuple[float, float]]
"""How far a subtree reaches to the left and right of its root's centre, by layer, the deepest first."""

INCH = 96.0
PATIENCE_SECONDS = 60


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
    outlines: dict[int, Outline] = {}
    for node, children in enumerate(below):
        row = outlines.pop(children[0]) if children else []
        for child in children[1:]:
            other = outlines.pop(child)
            # Outlines start at the deepest layer; read from their ends, layers are level.
            level = zip(reversed(row), reversed(other), strict=False)
            offsets[child] = gap - min(left - right for (_, right), (left, _) in level)
            row = _joined(row, _moved(other, offsets[child]))
        middle = offsets[children[-1]] / 2 if children else 0.0
        for child in children:
            offsets[child] -= middle
        outlines[node] = _moved(row, -middle)
        outlines[node].append((-widths[node] / 2, widths[node] / 2))
    shift = -min(left for left, _ in outlines[len(below) - 1])
    places = [shift] * len(below)
    for node in reversed(range(len(below))):
        for child in below[node]:
            places[child] = places[node] + offsets[child]
    return places


def _moved(outline: Outline, by: float) -> Outline:
    return [(left + by, right + by) for left, right in outline] if by else outline


def _joined(row: Outline, other: Outline) -> Outline:
    """Return the outline of both, of which the other stands to the right."""
    level = min(len(row), len(other))
    deeper = max(row, other, key=len)[: max(len(row), len(other)) - level]
    pairs = zip(row[len(row) - level :], other[len(other) - level :], strict=True)
    return deeper + [(left, right) for (left, _), (_, right) in pairs]


def graphviz_centres(below: Below, widths: Sequence[float], gap: float) -> list[float]:
    """Return the x of every node's centre as ``dot`` places it; takes what `centres` takes.

    Graphviz is given numbers and widths only, none of the formula's names.

    Raises:
        UserError: if ``dot`` is not installed or fails.
    """
    program = shutil.which("dot")
    if program is None:
        raise UserError("layout 'graphviz' needs the program dot; install Graphviz, or take layout 'layered'")
    lines = [f"digraph {{ graph [ordering=out, nodesep={gap / INCH:.3f}]; node [shape=box, fixedsize=true];"]
    lines += [f'n{node} [label="", width={width / INCH:.3f}, height=0.3];' for node, width in enumerate(widths)]
    lines += [f"n{node} -> n{child};" for node, children in enumerate(below) for child in children]
    source = "\n".join([*lines, "}"])
    try:
        ended = subprocess.run(
            [program, "-Tplain"], input=source, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"dot did not lay out the tree ({error}); take layout 'layered'") from error
    found = re.findall(r"^node n(\d+) (\S+) ", ended.stdout, re.M)
    places = {int(number): float(x) * INCH for number, x in found}
    left = min(places[node] - width / 2 for node, width in enumerate(widths))
    return [places[node] - left for node in range(len(widths))]
