"""Crossover and mutation of typed trees; unlike DEAP's, they choose alike in every process."""

from __future__ import annotations

import random
from collections.abc import Sequence

from deap import gp

from detkds_gp.language import PrimitiveSet, grow
from detkds_gp.language.primitive_set import NEVER
from detkds_gp.language.tree import Node, is_constant


def crossover(first: gp.PrimitiveTree, second: gp.PrimitiveTree, rng: random.Random) -> tuple[list[Node], list[Node]]:
    """Exchange two subtrees whose kinds fit each other's place, but not the whole trees.

    Returns:
        the nodes of both children; the parents' where no exchange would change anything.
    """
    a, b = list(first), list(second)
    wanted_a, wanted_b = wanted_kinds(a), wanted_kinds(b)
    fitting = [
        (i, j)
        for i, one in enumerate(a)
        for j, other in enumerate(b)
        if issubclass(one.ret, wanted_b[j]) and issubclass(other.ret, wanted_a[i])
        if (i or j) and (one.arity or one != other)
    ]
    if fitting:
        i, j = rng.choice(fitting)
        here, there = first.searchSubtree(i), second.searchSubtree(j)
        a[here], b[there] = b[there], a[here]
    return a, b


def mutate_subtree(
    tree: gp.PrimitiveTree, rng: random.Random, primitive_set: PrimitiveSet, depth: int = 2
) -> list[Node]:
    """Replace a random subtree by a grown one of ``depth`` or less, where its kind allows."""
    nodes = list(tree)
    start = rng.randrange(len(nodes))
    kind = wanted_kinds(nodes)[start]
    lowest = primitive_set.min_height(kind)
    if lowest < NEVER:
        nodes[tree.searchSubtree(start)] = grow(primitive_set, rng, max(depth, lowest), kind)
    return nodes


def mutate_point(tree: gp.PrimitiveTree, rng: random.Random, primitive_set: PrimitiveSet) -> list[Node]:
    """Replace one node by another that takes the same arguments and fits the same place."""
    nodes = list(tree)
    start = rng.randrange(len(nodes))
    wanted, old = wanted_kinds(nodes)[start], nodes[start]
    if isinstance(old, gp.Terminal):
        choices = [t for t in primitive_set.terminals[wanted] if t != old]
    else:
        choices = [p for p in primitive_set.primitives[wanted] if p != old and p.args == old.args]
    if choices:
        nodes[start] = rng.choice(choices)
    return nodes


def mutate_insert(tree: gp.PrimitiveTree, rng: random.Random, primitive_set: PrimitiveSet) -> list[Node]:
    """Put a primitive around a subtree; its other arguments are grown as low as they can be."""
    nodes = list(tree)
    choices = [
        (start, primitive, slot)
        for start, wanted in enumerate(wanted_kinds(nodes))
        for primitive in primitive_set.primitives[wanted]
        for slot, kind in enumerate(primitive.args)
        if issubclass(nodes[start].ret, kind) and primitive_set.reach(primitive) < NEVER
    ]
    if choices:
        start, primitive, slot = rng.choice(choices)
        inner, outer = tree.searchSubtree(start), [primitive]
        for index, kind in enumerate(primitive.args):
            lowest = primitive_set.min_height(kind)
            outer += nodes[inner] if index == slot else grow(primitive_set, rng, lowest, kind)
        nodes[inner] = outer
    return nodes


def mutate_shrink(tree: gp.PrimitiveTree, rng: random.Random, primitive_set: PrimitiveSet) -> list[Node]:
    """Replace a subtree by one of its root's arguments."""
    nodes, wanted, choices = list(tree), wanted_kinds(tree), []
    for start, node in enumerate(nodes):
        argument = start + 1
        for _ in range(node.arity):
            inner = tree.searchSubtree(argument)
            if issubclass(nodes[argument].ret, wanted[start]):
                choices.append((tree.searchSubtree(start), inner))
            argument = inner.stop
    if choices:
        outer, inner = rng.choice(choices)
        nodes[outer] = nodes[inner]
    return nodes


def mutate_constant(tree: gp.PrimitiveTree, rng: random.Random, primitive_set: PrimitiveSet) -> list[Node]:
    """Move one number to a neighbour on its grid; a tree without numbers stays as it is."""
    nodes = list(tree)
    numbers = [index for index, node in enumerate(nodes) if is_constant(node)]
    if numbers:
        start = rng.choice(numbers)
        old = nodes[start]
        grid = sorted({t.value for t in primitive_set.terminals[old.ret] if is_constant(t)})
        lower = [value for value in grid if value < old.value][-1:]
        higher = [value for value in grid if value > old.value][:1]
        if lower or higher:
            nodes[start] = gp.Terminal(rng.choice(lower + higher), False, old.ret)
    return nodes


MUTATIONS = (mutate_subtree, mutate_insert, mutate_shrink, mutate_point, mutate_constant)


def wanted_kinds(nodes: Sequence[Node]) -> list[type]:
    """Return for every place of a tree, in prefix order, the kind that its consumer takes."""
    wanted: list[type] = []
    pending = [nodes[0].ret]
    for node in nodes:
        wanted.append(pending.pop())
        if isinstance(node, gp.Primitive):
            pending.extend(reversed(node.args))
    return wanted
