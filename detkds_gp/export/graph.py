"""A formula as a `networkx.DiGraph`: one node a primitive or number, one edge an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import networkx as nx
from deap import gp

from detkds_gp.language import CALIBRATED, NONE, Distiller, Loss, PrimitiveSet, Term, fold
from detkds_gp.language.tree import Node, is_constant, node_text, number_text

Formula: TypeAlias = Distiller | gp.PrimitiveTree


@dataclass(frozen=True)
class Step:
    """A node of a tree among those of its post-order list.

    Attributes:
        node: DEAP's node.
        back: for every argument, how many places before this step it stands.
    """

    node: Node
    back: tuple[int, ...]


def post_order(tree: gp.PrimitiveTree) -> list[Step]:
    """List a tree's nodes, arguments before their consumer, first arguments first."""

    def visit(node: Node, below: list[list[Step]]) -> list[Step]:
        back, distance = [], 1
        for steps in reversed(below):
            back.append(distance)
            distance += len(steps)
        joined = below[0] if below else []
        for steps in below[1:]:
            joined.extend(steps)
        joined.append(Step(node, tuple(reversed(back))))
        return joined

    return fold(tree, visit)


def node_role(node: Node, primitive_set: PrimitiveSet) -> str:
    """Return the role that a node's declaration states; ``constant`` for a number."""
    return "constant" if is_constant(node) else primitive_set.declarations[node.name].role


def to_networkx(formula: Formula, primitive_set: PrimitiveSet) -> nx.DiGraph:
    """Turn a formula into a directed tree; equal subtrees stay separate nodes.

    Nodes are 0, 1, ... in post-order: arguments before their consumer, the root last. They carry
    ``label`` (name or number), ``role`` (as declared; ``sum`` for a distiller's root), ``kind`` (of
    the result, by name) and ``sided`` (whether the result is a pair of student and teacher).

    Edges lead from argument to consumer. They carry ``kind`` and ``sided`` of what passes,
    ``position`` (0-based among the consumer's arguments), ``asked`` (the kind the consumer takes
    there) and ``label``. A distiller's root is ``+`` over its terms, ``loss`` over a single one,
    ``none`` over nothing; its edges also carry ``weight`` and ``scale`` (None while it has to be
    measured), with both as their label, e.g. ``2 × 0.037``. All other labels are empty.

    Args:
        formula: a distiller, or a tree alone (then the tree's own root is the root).
        primitive_set: the set that declares the formula's names.
    """
    graph = nx.DiGraph()
    if not isinstance(formula, Distiller):
        _add_tree(graph, formula, primitive_set)
        return graph
    roots = [_add_tree(graph, term.tree, primitive_set) for term in formula.terms]
    label = "+" if len(roots) > 1 else "loss" if roots else NONE
    top = len(graph)
    graph.add_node(top, label=label, role="sum", kind=Loss.__name__, sided=False)
    for position, (root, term) in enumerate(zip(roots, formula.terms, strict=True)):
        _connect(graph, root, top, position=position, asked=Loss.__name__, label=weight_label(term))
        graph.edges[root, top].update(weight=term.weight, scale=term.scale)
    return graph


def weight_label(term: Term) -> str:
    """Write what a term is multiplied by: ``weight × scale``."""
    scale = CALIBRATED if term.scale is None else number_text(term.scale)
    return f"{number_text(term.weight)} × {scale}"


def _add_tree(graph: nx.DiGraph, tree: gp.PrimitiveTree, primitive_set: PrimitiveSet) -> int:
    """Add a tree and return its root."""
    for step in post_order(tree):
        node, number = step.node, len(graph)
        role, kind = node_role(node, primitive_set), node.ret
        graph.add_node(number, label=node_text(node), role=role, kind=kind.__name__, sided=kind.sided)
        for position, back in enumerate(step.back):
            asked = node.args[position].__name__
            _connect(graph, number - back, number, position=position, asked=asked, label="")
    return len(graph) - 1


def _connect(graph: nx.DiGraph, argument: int, consumer: int, **attributes: object) -> None:
    passed = {key: graph.nodes[argument][key] for key in ("kind", "sided")}
    graph.add_edge(argument, consumer, **passed, **attributes)
