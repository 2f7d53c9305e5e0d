"""Growing trees by a table of minimum heights, so that every draw succeeds; DEAP's own ways fail on typed sets."""

from __future__ import annotations

import random

from deap import gp

from detkds_gp.errors import DeclarationError
from detkds_gp.language.declarations import KindType
from detkds_gp.language.kinds import Loss
from detkds_gp.language.primitive_set import PrimitiveSet
from detkds_gp.language.tree import Node


def grow(
    primitive_set: PrimitiveSet, rng: random.Random, max_depth: int, kind: KindType = Loss, *, full: bool = False
) -> gp.PrimitiveTree:
    """Draw a type-correct tree no deeper than ``max_depth``.

    Args:
        primitive_set: what to draw from; its order and ``rng`` fix the result.
        rng: the source of all choices.
        max_depth: edges from the root to the farthest leaf.
        kind: what the tree has to return.
        full: prefer functions to leaves until the depth is used up, where the kinds allow.

    Raises:
        DeclarationError: if the lowest tree of this kind is higher than ``max_depth``.
    """
    lowest = primitive_set.min_height(kind)
    if lowest > max_depth:
        got = f"set {primitive_set.name!r} has no {kind.__name__} of depth {max_depth}"
        raise DeclarationError(f"{got}, wanted a depth of {lowest} or more")
    nodes: list[Node] = []
    pending: list[tuple[KindType, int]] = [(kind, max_depth)]
    while pending:
        wanted, height = pending.pop()
        node = _draw(primitive_set, rng, wanted, height, full)
        nodes.append(node)
        if isinstance(node, gp.Primitive):
            pending.extend((argument, height - 1) for argument in reversed(node.args))
    return gp.PrimitiveTree(nodes)


def _draw(primitive_set: PrimitiveSet, rng: random.Random, kind: KindType, height: int, full: bool) -> Node:
    leaves = primitive_set.terminals[kind]
    functions = [f for f in primitive_set.primitives[kind] if primitive_set.reach(f) <= height]
    share = primitive_set.terms_count / (primitive_set.terms_count + primitive_set.prims_count)
    if not functions or (leaves and not full and rng.random() < share):
        return rng.choice(leaves)
    return rng.choice(functions)


def ramped_half_and_half(
    primitive_set: PrimitiveSet, rng: random.Random, min_depth: int, max_depth: int
) -> gp.PrimitiveTree:
    """Draw a depth limit between the two, then `grow` or grow full with equal chance (Koza 1992).

    Raises:
        DeclarationError: if the lowest formula is higher than ``max_depth``.
    """
    lowest = max(min_depth, min(primitive_set.min_height(Loss), max_depth))
    return grow(primitive_set, rng, rng.randint(lowest, max_depth), full=rng.random() < 0.5)
