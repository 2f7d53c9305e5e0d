"""A formula that is exported, and as a `networkx.DiGraph`: one node a primitive or number, one edge an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from deap import gp

from detkds_gp.errors import DeclarationError
from detkds_gp.language import CALIBRATED, NONE, Declaration, Distiller, Loss, Number, PrimitiveSet, fold, to_text
from detkds_gp.language.roles import Combiner, Constant, Distance, Input, Learned
from detkds_gp.language.samples import sample_size
from detkds_gp.language.tree import Node, call_text, is_constant, node_text, number_text

if TYPE_CHECKING:
    import networkx as nx

Formula: TypeAlias = Distiller | gp.PrimitiveTree
Shapes: TypeAlias = Mapping[str, Sequence[int]]
"""By the text of a subtree, e.g. ``unit_channel(global)``, the shape of the tensor it gives (of one side)."""

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Panel:
    """One formula among those exported together.

    Attributes:
        formula: a distiller, or a tree alone.
        primitive_set: the set that declares the formula's names.
        caption: what stands above it, e.g. where it comes from.
        shapes: by text of a subtree, e.g. of a run's own batch; default: those on sample knowledge.
    """

    formula: Formula
    primitive_set: PrimitiveSet
    caption: str = ""
    shapes: Shapes | None = None

    @property
    def text(self) -> str:
        """The formula's text."""
        return self.formula.text if isinstance(self.formula, Distiller) else to_text(self.formula)


def trees_of(formula: Formula) -> list[gp.PrimitiveTree]:
    """Return the tree of every term, or the tree itself."""
    return [term.tree for term in formula.terms] if isinstance(formula, Distiller) else [formula]


def post_order(tree: gp.PrimitiveTree) -> list[tuple[Node, list[int]]]:
    """List a tree's nodes, arguments before their consumer, first ones first, each with its arguments' places."""
    listed: list[tuple[Node, list[int]]] = []
    waiting: list[tuple[Node, list[int]]] = []
    for node in tree:
        waiting.append((node, []))
        while waiting and len(waiting[-1][1]) == waiting[-1][0].arity:
            listed.append(waiting.pop())
            if waiting:
                waiting[-1][1].append(len(listed) - 1)
    return listed


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
    trees = trees_of(formula)
    builder = _Builder(primitive_set, sample_shapes(trees, primitive_set) if shapes is None else shapes)
    roots = [builder.add_tree(tree) for tree in trees]
    if isinstance(formula, Distiller):
        builder.add_root(formula, roots)
    return builder.graph


def sample_shapes(trees: Sequence[Sequence[Node]], primitive_set: PrimitiveSet) -> dict[str, Shape]:
    """Follow the declared shapes through trees, from one level of the sample knowledge that `lint` checks formulas on.

    Args:
        trees: the trees.
        primitive_set: the set that declares their names.

    Returns:
        by text of a subtree, the shape of one side. Numbers have none, nor has what no declared shape fits:
        a drawing of a broken formula helps to mend it.
    """
    found: dict[str, Shape] = {}

    def visit(node: Node, below: list[tuple[str, Shape | None]]) -> tuple[str, Shape | None]:
        text = call_text(node, [argument for argument, _ in below])
        shape = None if is_constant(node) else _shape(node, [shape for _, shape in below], primitive_set)
        if shape is not None:
            found[text] = shape
        return text, shape

    for tree in trees:
        fold(tree, visit)
    return found


def _shape(node: Node, below: Sequence[Shape | None], primitive_set: PrimitiveSet) -> Shape | None:
    declaration = primitive_set.declarations[node.name]
    if isinstance(declaration, Input):
        return sample_size(declaration, primitive_set.inputs)
    try:
        return declaration.shape_of(below[0] or ())
    except DeclarationError:
        return None


def shape_text(shape: Sequence[int] | None) -> str:
    """Write a shape: ``2×8×9×11``, ``()`` for a scalar, nothing for None."""
    if shape is None:
        return ""
    return "×".join(str(size) for size in shape) or "()"


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
        start = len(self.graph)
        for number, (node, places) in enumerate(post_order(tree), start):
            below = [start + place for place in places]
            self.graph.add_node(number, **self._attributes(node, below))
            for position, argument in enumerate(below):
                self._connect(argument, number, position=position, asked=node.args[position].__name__, label="")
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
            label = f"{number_text(term.weight)} × {CALIBRATED if term.scale is None else number_text(term.scale)}"
            self._connect(root, top, position=position, asked=Loss.__name__, label=label)
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
