"""What two formulas share: their trees are aligned so that as many equal nodes as can be meet.

Nodes meet if they have the same role and label, and those above and below, left and right of each
other in one tree stand so in the other (Zhang and Shasha, 1989, with relabelling forbidden).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from detkds_gp.errors import UserError
from detkds_gp.export.graph import SUM, arguments_of

if TYPE_CHECKING:
    import networkx as nx

MAX_NODES = 500


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
    if largest > MAX_NODES:
        raise UserError(f"a tree has {largest} nodes, wanted at most {MAX_NODES} for a diff; draw without it")
    pairs = shared_nodes(first, second)
    marked = first.copy(), second.copy()
    for graph, partners in zip(marked, (pairs, {b: a for a, b in pairs.items()}), strict=True):
        for node in graph:
            graph.nodes[node]["only"] = node not in partners
    for a, b in pairs.items():
        _mark_weight(marked, a, b, pairs)
    return marked


def shared_nodes(first: nx.DiGraph, second: nx.DiGraph) -> dict[int, int]:
    """Return the nodes of the first graph that meet one of the second, each with its partner."""
    one, two = _Tree(first), _Tree(second)
    scores = [[0] * len(two.keys) for _ in one.keys]
    for i in one.key_roots:
        for j in two.key_roots:
            _forest(one, two, (i, j), scores)
    pairs: dict[int, int] = {}
    pending = [(len(one.keys) - 1, len(two.keys) - 1)]
    while pending:
        pending += _trace(one, two, pending.pop(), scores, pairs)
    return {one.nodes[a]: two.nodes[b] for a, b in sorted(pairs.items())}


class _Tree:
    """A graph's nodes in post-order: what they are, and each one's leftmost leaf."""

    def __init__(self, graph: nx.DiGraph) -> None:
        self.nodes = list(graph)
        places = {node: place for place, node in enumerate(self.nodes)}
        rows = [graph.nodes[node] for node in self.nodes]
        # The root of a distiller is called after the number of its terms.
        self.keys = [(row["role"], "" if row["role"] == SUM else row["label"]) for row in rows]
        self.first: list[int] = []
        for place, node in enumerate(self.nodes):
            below = arguments_of(graph, node)
            self.first.append(self.first[places[below[0]]] if below else place)
        self.key_roots: Sequence[int] = sorted({leaf: place for place, leaf in enumerate(self.first)}.values())


def _forest(one: _Tree, two: _Tree, roots: tuple[int, int], scores: list[list[int]]) -> list[list[int]]:
    """Return how many nodes the forests under two roots share, by how far each is taken; fill in scores."""
    (i, j), (left, right) = roots, (one.first[roots[0]], two.first[roots[1]])
    table = [[0] * (j - right + 2) for _ in range(i - left + 2)]
    for x in range(left, i + 1):
        row, above = table[x - left + 1], table[x - left]
        for y in range(right, j + 1):
            column = y - right + 1
            best = max(above[column], row[column - 1])
            if one.first[x] == left and two.first[y] == right:
                best = max(best, above[column - 1] + 1 if one.keys[x] == two.keys[y] else 0)
                scores[x][y] = best
            else:
                best = max(best, table[one.first[x] - left][two.first[y] - right] + scores[x][y])
            row[column] = best
    return table


def _trace(
    one: _Tree, two: _Tree, roots: tuple[int, int], scores: list[list[int]], pairs: dict[int, int]
) -> list[tuple[int, int]]:
    """Walk a forest's table back, note who meets whom, and return the subtrees to walk next."""
    table = _forest(one, two, roots, scores)
    (x, y), (left, right) = roots, (one.first[roots[0]], two.first[roots[1]])
    pending = []
    while x >= left and y >= right:
        here = table[x - left + 1][y - right + 1]
        whole = one.first[x] == left and two.first[y] == right
        if whole and one.keys[x] == two.keys[y] and here == table[x - left][y - right] + 1:
            pairs[x] = y
            x, y = x - 1, y - 1
        elif here == table[x - left][y - right + 1]:
            x -= 1
        elif here == table[x - left + 1][y - right]:
            y -= 1
        else:
            pending.append((x, y))
            x, y = one.first[x] - 1, two.first[y] - 1
    return pending


def _mark_weight(marked: tuple[nx.DiGraph, nx.DiGraph], a: int, b: int, pairs: dict[int, int]) -> None:
    """Mark two terms that meet under roots that meet, if their weights differ."""
    ends = [list(graph.successors(node)) for graph, node in zip(marked, (a, b), strict=True)]
    if not all(ends) or pairs.get(ends[0][0]) != ends[1][0]:
        return
    edges = [graph.edges[node, end[0]] for graph, node, end in zip(marked, (a, b), ends, strict=True)]
    if "weight" in edges[0]:
        for edge in edges:
            edge["reweighted"] = edges[0]["label"] != edges[1]["label"]
