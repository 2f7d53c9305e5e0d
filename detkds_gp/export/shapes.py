"""The tensor shapes that pass along the edges of a tree, as the primitives declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from detkds_gp.errors import DeclarationError
from detkds_gp.language import Input, PrimitiveSet, fold
from detkds_gp.language.samples import sample_size
from detkds_gp.language.tree import Node, call_text, is_constant

Shapes: TypeAlias = Mapping[str, Sequence[int]]
"""By the text of a subtree, e.g. ``unit_channel(global)``, the shape of the tensor it gives (of one side)."""

Shape: TypeAlias = tuple[int, ...]


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
