"""What two formulas share: their trees are aligned so that as many equal nodes as can be meet.

Nodes meet if they have the same role and label, and those above and below, left and right of each
other in one tree stand so in the other (Zhang and Shasha, 1989, with relabelling forbidden).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from detkds_gp.errors import UserError
from detkds_gp.export.graph import SUM, Panel, arguments_of, to_networkx, trees_of
from detkds_gp.language import Distiller

if TYPE_CHECKING:
    import networkx as nx

MAX_DRAWN, MAX_COMPARED = 2000, 500


def graphs(panels: Sequence[Panel], diff: bool = False) -> list[nx.DiGraph]:
    """Return the graph of every panel; with ``diff``, marked by `difference`.

    Raises:
        UserError: if a formula has more than 2000 nodes, or ``diff`` is asked of other than two.
    """
    if diff and len(panels) != 2:
        raise UserError(f"got {len(panels)} formula(s), wanted 2 for a diff; name two distillers")
    for panel in panels:
        size = sum(map(len, trees_of(panel.formula))) + isinstance(panel.formula, Distiller)
        if size > MAX_DRAWN:
            raise UserError(f"the formula has {size} nodes, too many to draw; export text or json")
    made = [to_networkx(panel.formula, panel.primitive_set, panel.shapes) for panel in panels]
    return list(difference(*made)) if diff else made


def difference(first: nx.DiGraph, second: nx.DiGraph) -> tuple[nx.DiGraph, nx.DiGraph]:
    """Mark in two graphs of `to_networkx` what the other does not have.

    Returns:
        copies, whose nodes carry ``only`` (whether the other graph has no such node), and whose
        edges to a distiller's root carry ``reweighted`` (whether the term is in both, with another
        weight or scale).

    Raises:
        UserError: if a tree has more than 500 nodes.
    """
    largest = max(len(first), len(second))
    if largest > MAX_COMPARED:
        raise UserError(f"a tree has {largest} nodes, wanted at most {MAX_COMPARED} for a diff; draw without it")
    pairs = shared_nodes(first, second)
    marked = first.copy(), second.copy()
    for graph, partners in zip(marked, (pairs.keys(), set(pairs.values())), strict=True):
        for node in graph:
            graph.nodes[node]["only"] = node not in partners
    for ends in pairs.items():
        edges = [g.edges.get((node, len(g) - 1), {}) for g, node in zip(marked, ends, strict=True)]
        if all("weight" in edge for edge in edges):
            for edge in edges:
                edge["reweighted"] = edges[0]["label"] != edges[1]["label"]
    return marked


def shared_nodes(first: nx.DiGraph, second: nx.DiGraph) -> dict[int, int]:
    """Return the nodes of the first graph that meet one of the second, each with its partner."""
    one, two = _Tree(first), _Tree(second)
    shared: dict[tuple[int, int], _Shared] = {}
    for roots in product(one.key_roots, two.key_roots):
        _align(one, two, roots, shared)
    pairs, pending = [], [shared[len(first) - 1, len(second) - 1]]
    while pending:
        found = pending.pop()
        pending += found.parts
        pairs += [found.pair] if found.pair else []
    return dict(sorted(pairs))


class _Tree:
    """What the nodes of a graph are, and each one's leftmost leaf; nodes are numbered in post-order."""

    def __init__(self, graph: nx.DiGraph) -> None:
        # The root of a distiller is called after the number of its terms.
        self.keys = [(row["role"], "" if row["role"] == SUM else row["label"]) for row in graph.nodes.values()]
        self.first: list[int] = []
        for node in graph:
            below = arguments_of(graph, node)
            self.first.append(self.first[below[0]] if below else node)
        self.key_roots = sorted({leaf: node for node, leaf in enumerate(self.first)}.values())


class _Shared(NamedTuple):
    """The most nodes that two forests share: how many, the last pair if it is one of them, and what lies before."""

    size: int = 0
    pair: tuple[int, int] | None = None
    parts: tuple[_Shared, ...] = ()


def _align(one: _Tree, two: _Tree, roots: tuple[int, int], shared: dict[tuple[int, int], _Shared]) -> None:
    """Fill in what two subtrees share, and those within them that begin at the same leaves."""
    (i, j), (left, right) = roots, (one.first[roots[0]], two.first[roots[1]])
    table = [[_Shared()] * (j - right + 2) for _ in range(i - left + 2)]
    for x, y in product(range(left, i + 1), range(right, j + 1)):
        above, row, column = table[x - left], table[x - left + 1], y - right + 1
        best = above[column] if above[column].size >= row[column - 1].size else row[column - 1]
        if one.first[x] == left and two.first[y] == right:
            if one.keys[x] == two.keys[y] and above[column - 1].size >= best.size - 1:
                best = _Shared(above[column - 1].size + 1, (x, y), (above[column - 1],))
            shared[x, y] = best
        else:
            parts = table[one.first[x] - left][two.first[y] - right], shared[x, y]
            if parts[0].size + parts[1].size > best.size:
                best = _Shared(parts[0].size + parts[1].size, None, parts)
        row[column] = best
