"""The canonical form: commutative arguments ordered (through nesting), identities removed, constants folded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from deap import gp

from detkds_gp.language.primitive_set import PrimitiveSet
from detkds_gp.language.tree import Node, call_text, fold, is_constant

DIGITS = 12


@dataclass(frozen=True)
class _Term:
    """A canonical subtree: its root, its arguments and its text."""

    root: Node
    arguments: tuple[_Term, ...]
    text: str

    @classmethod
    def make(cls, root: Node, arguments: list[_Term]) -> _Term:
        return cls(root, tuple(arguments), call_text(root, [term.text for term in arguments]))

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes in prefix order."""
        pending = [self]
        while pending:
            term = pending.pop()
            yield term.root
            pending.extend(reversed(term.arguments))


def canonical(tree: gp.PrimitiveTree, primitive_set: PrimitiveSet) -> gp.PrimitiveTree:
    """Return the canonical form of a tree; its text is the tree's identity.

    >>> from detkds_gp.primitives import OMNI
    >>> from detkds_gp.language import parse_tree, to_text
    >>> tree = parse_tree("add(l2(global), scaled(l1(relu(relu(global))), 1))", OMNI)
    >>> to_text(canonical(tree, OMNI))
    'add(l1(relu(global)), l2(global))'
    """

    def visit(node: Node, arguments: list[_Term]) -> _Term:
        return _simplified(node, arguments, primitive_set) if arguments else _Term.make(node, [])

    return gp.PrimitiveTree(fold(tree, visit).nodes())


def _simplified(node: Node, arguments: list[_Term], primitive_set: PrimitiveSet) -> _Term:
    algebra = primitive_set.declarations[node.name].algebra
    if algebra.commutative:
        return _ordered(node, arguments)
    if algebra.multiplies and is_constant(arguments[-1].root):
        return _multiplied(node, arguments)
    first, shared = arguments[0], [term.text for term in arguments[1:]]
    same = first.root.name == node.name and [term.text for term in first.arguments[1:]] == shared
    return first if algebra.idempotent and same else _Term.make(node, arguments)


def _multiplied(node: Node, arguments: list[_Term]) -> _Term:
    """Merge the constants of nested calls into one, or several if one would leave its range."""
    inner, constant = arguments
    product = constant.root.value
    while inner.root.name == node.name and is_constant(inner.arguments[-1].root):
        inner, constant = inner.arguments
        product *= constant.root.value
    kind = node.args[-1]
    fits = issubclass(inner.root.ret, node.ret) and 0 < product < math.inf
    if not fits:
        return _Term.make(node, arguments)
    rest = float(f"{product:.{DIGITS}g}")
    while rest != 1:
        value = min(max(rest, kind.low), kind.high)
        inner = _Term.make(node, [inner, _Term.make(gp.Terminal(value, False, kind), [])])
        rest = float(f"{rest / value:.{DIGITS}g}")
    return inner


def _ordered(node: Node, arguments: list[_Term]) -> _Term:
    """Flatten nested calls of one commutative primitive, sort, and nest to the right."""
    leaves: list[_Term] = []
    pending = list(arguments)
    while pending:
        term = pending.pop()
        if term.root.name == node.name:
            pending.extend(term.arguments)
        else:
            leaves.append(term)
    leaves.sort(key=lambda term: term.text)
    term = leaves.pop()
    while leaves:
        term = _Term.make(node, [leaves.pop(), term])
    return term
