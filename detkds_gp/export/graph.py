"""A formula as a `networkx.DiGraph`: one node a primitive or number, one edge an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from deap import gp

from detkds_gp.export.shapes import Shapes, sample_shapes
from detkds_gp.language import CALIBRATED, NONE, Declaration, Distiller, Loss, Number, PrimitiveSet, Term, fold
from detkds_gp.language.roles import Combiner, Constant, Distance, Input, Learned
from detkds_gp.language.tree import Node, call_text, is_constant, node_text, number_text

if TYPE_CHECKING:
    import networkx as nx

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
    return Constant.role if is_constant(node) else primitive_set.declarations[node.name].role


SUM = "sum"
"""The role of a distiller's root."""

FAMILIES = ("knowledge", "transform", "pair_transform", "learned", "field", "distance", "combiner", "constant")
"""Families of nodes; each has a colour of its own."""


def family_of(declaration: Declaration | None) -> str:
    """Return the family of a primitive, or of a number: its role, but what gives or takes a field stands apart."""
    if declaration is None:
        return Constant.role
    fields = [
        kind for kind in (*declaration.arguments, declaration.result) if not (kind.sided or issubclass(kind, Number))
    ]
    if fields and not isinstance(declaration, (Learned, Distance, Combiner)):
        return "field"
    return "knowledge" if isinstance(declaration, Input) else declaration.role


def to_networkx(formula: Formula, primitive_set: PrimitiveSet, shapes: Shapes | None = None) -> nx.DiGraph:
    """Turn a formula into a directed tree; equal subtrees stay separate nodes.

    Nodes are 0, 1, ... in post-order: arguments before their consumer, the root last. A distiller's
    root is ``+`` over its terms, ``loss`` over a single one, ``none`` over nothing. Nodes carry

    - ``label``: name or number; ``text``: the formula of the subtree,
    - ``role``: as declared; ``sum`` for a distiller's root,
    - ``family``: what it does in the tree, one of FAMILIES, each of which a drawing gives a colour;
      ``field`` is what gives a field or weights by one,
    - ``kind``: of the result, by name; ``sided``: whether the result is a pair of student and teacher,
    - ``shape``: of the result (of one side), a tuple; None for numbers and where it is unknown,
    - ``knowledge``: the inputs it is computed from, by name, joined by ``, ``,
    - ``latex``: the declared template with ``#1``..``#n`` for the arguments, a number's own digits;
      ``doc``: the declared effect.

    Edges lead from argument to consumer. They carry ``kind``, ``shape`` and ``sided`` of what passes,
    ``position`` (0-based among the consumer's arguments), ``asked`` (the kind the consumer takes
    there) and ``label``. Edges to a distiller's root also carry ``weight`` and ``scale`` (None while
    it has to be measured), with both as their label, e.g. ``2 × 0.037``. All other labels are empty.

    Args:
        formula: a distiller, or a tree alone (then the tree's own root is the root).
        primitive_set: the set that declares the formula's names.
        shapes: by text of a subtree; default: those on sample knowledge.
    """
    trees = [term.tree for term in formula.terms] if isinstance(formula, Distiller) else [formula]
    builder = _Builder(primitive_set, sample_shapes(trees, primitive_set) if shapes is None else shapes)
    roots = [builder.add_tree(tree) for tree in trees]
    if isinstance(formula, Distiller):
        builder.add_root(formula, roots)
    return builder.graph


def weight_label(term: Term) -> str:
    """Write what a term is multiplied by: ``weight × scale``."""
    scale = CALIBRATED if term.scale is None else number_text(term.scale)
    return f"{number_text(term.weight)} × {scale}"


def arguments_of(graph: nx.DiGraph, node: int) -> list[int]:
    """Return the nodes of a graph of `to_networkx` that give a node's arguments, in their order."""
    incoming = sorted(graph.in_edges(node, data="position"), key=lambda edge: edge[2])
    return [argument for argument, _, _ in incoming]


class _Builder:
    """Adds trees to a graph, one after the other."""

    def __init__(self, primitive_set: PrimitiveSet, shapes: Shapes) -> None:
        import networkx as nx  # a sixth of what importing torch costs

        self.graph = nx.DiGraph()
        self._set = primitive_set
        self._shapes = shapes

    def add_tree(self, tree: gp.PrimitiveTree) -> int:
        """Add a tree and return its root."""
        for step in post_order(tree):
            number = len(self.graph)
            below = [number - back for back in step.back]
            self.graph.add_node(number, **self._attributes(step.node, below))
            for position, argument in enumerate(below):
                asked = step.node.args[position].__name__
                self._connect(argument, number, position=position, asked=asked, label="")
        return len(self.graph) - 1

    def add_root(self, distiller: Distiller, roots: list[int]) -> None:
        """Add the root of a distiller over the roots of its terms."""
        top = len(self.graph)
        self.graph.add_node(
            top,
            label="+" if len(roots) > 1 else "loss" if roots else NONE,
            text=distiller.text,
            role=SUM,
            family="combiner",
            kind=Loss.__name__,
            sided=False,
            shape=() if roots else None,
            knowledge=self._knowledge(roots),
            latex=" + ".join(f"#{number}" for number, _ in enumerate(roots, 1)) or "0",
            doc="Sum of the weighted terms." if roots else "The student alone.",
        )
        for position, (root, term) in enumerate(zip(roots, distiller.terms, strict=True)):
            self._connect(root, top, position=position, asked=Loss.__name__, label=weight_label(term))
            self.graph.edges[root, top].update(weight=term.weight, scale=term.scale)

    def _attributes(self, node: Node, below: list[int]) -> dict[str, Any]:
        text = call_text(node, [self.graph.nodes[b]["text"] for b in below])
        declaration = None if is_constant(node) else self._set.declarations[node.name]
        shape = self._shapes.get(text) if declaration else None
        return {
            "label": node_text(node),
            "text": text,
            "role": node_role(node, self._set),
            "family": family_of(declaration),
            "kind": node.ret.__name__,
            "sided": node.ret.sided,
            "shape": None if shape is None else tuple(shape),
            "knowledge": str(node.name) if isinstance(declaration, Input) else self._knowledge(below),
            "latex": declaration.latex if declaration else node_text(node),
            "doc": declaration.doc if declaration else f"A {node.ret.__name__.lower()}.",
        }

    def _knowledge(self, below: list[int]) -> str:
        names = [name for b in below for name in self.graph.nodes[b]["knowledge"].split(", ") if name]
        return ", ".join(dict.fromkeys(names))

    def _connect(self, argument: int, consumer: int, **attributes: Any) -> None:
        passed = {key: self.graph.nodes[argument][key] for key in ("kind", "shape", "sided")}
        self.graph.add_edge(argument, consumer, **passed, **attributes)
