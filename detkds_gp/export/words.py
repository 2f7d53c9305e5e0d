"""A formula in words, for those who hear a drawing instead of seeing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkds_gp.export.graph import SUM, arguments_of
from detkds_gp.language import Constant

if TYPE_CHECKING:
    import networkx as nx


def in_words(graph: nx.DiGraph) -> str:
    """Say the formula of a graph of `to_networkx`.

    Returns:
        e.g. ``0.5 times 4.17 times smooth l1 of patches 4 of global``.
    """
    said: dict[int, str] = {}
    for node, attributes in graph.nodes(data=True):
        below = arguments_of(graph, node)
        weights = [graph.edges[argument, node]["label"].replace("×", "times") for argument in below]
        terms = [f"{w} times {said[b]}" if w else said[b] for w, b in zip(weights, below, strict=True)]
        name = attributes["label"].replace("_", " ").strip()
        if attributes["role"] == Constant.role:
            said[node] = f"{attributes['kind'].lower()} {name}"
        elif not below:
            said[node] = "the student alone, without distillation" if attributes["role"] == SUM else name
        elif attributes["role"] == SUM:
            said[node] = " plus ".join(terms)
        else:
            said[node] = _call(name, terms, [graph.nodes[b]["role"] == Constant.role for b in below])
    return said[node]


def _call(name: str, arguments: list[str], numbers: list[bool]) -> str:
    """Say ``name of argument``; what stands beside others is bracketed if it has parts itself."""
    if len(arguments) == 1:
        return f"{name} of {arguments[0]}"
    bracketed = [f"({said})" if " of " in said else said for said in arguments]
    if all(numbers[1:]):
        return f"{name} of {arguments[0]} with {' and '.join(bracketed[1:])}"
    return f"{name} of {' and '.join(bracketed)}"
