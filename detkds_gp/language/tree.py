"""The one fold over a formula tree, and what is folded from it.

A tree is a `deap.gp.PrimitiveTree`: its nodes in prefix order. Compiling, printing, LaTeX, drawing,
depth and cost are all visitors of `fold`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from deap import gp

Node: TypeAlias = Any  # gp.Primitive or gp.Terminal; DEAP has no type information
T = TypeVar("T")


def fold(tree: Sequence[Node], visit: Callable[[Node, list[T]], T]) -> T:
    """Visit every node after its arguments, without recursion, and return the root's value.

    Args:
        tree: nodes in prefix order.
        visit: takes a node and the values of its arguments.
    """
    values: list[T] = []
    for node in reversed(tree):
        arguments = [values.pop() for _ in range(node.arity)]
        values.append(visit(node, arguments))
    (root,) = values
    return root


def is_constant(node: Node) -> bool:
    """Whether the node is a number."""
    return isinstance(node, gp.Terminal) and isinstance(node.value, float)


def depth(tree: Sequence[Node]) -> int:
    """Return the number of edges from the root to its farthest leaf."""
    return fold(tree, lambda _, below: 1 + max(below) if below else 0)


def number_text(value: float) -> str:
    """Write a number so that it reads back equal, without a trailing ``.0``."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


def node_text(node: Node) -> str:
    """Return the node's own word: a name or a number."""
    return number_text(node.value) if is_constant(node) else str(node.name)


def call_text(node: Node, arguments: Sequence[str]) -> str:
    """Return the text of the subtree at a node from the texts of its arguments."""
    return f"{node_text(node)}({', '.join(arguments)})" if arguments else node_text(node)


def to_text(tree: Sequence[Node]) -> str:
    """Write a tree as a formula.

    Returns:
        e.g. ``kl(softmax_row(class_logits, 2))``; `detkds_gp.language.parse_tree` reads it back.
    """
    return fold(tree, call_text)


def subtrees(tree: Sequence[Node]) -> list[str]:
    """Return the text of every subtree, each once, arguments first."""
    texts: dict[str, None] = {}

    def visit(node: Node, below: list[str]) -> str:
        text = call_text(node, below)
        texts.setdefault(text)
        return text

    fold(tree, visit)
    return list(texts)


def cost(tree: Sequence[Node]) -> int:
    """Count the operations of a step; equal subtrees count once, inputs and constants never."""
    return sum("(" in text for text in subtrees(tree))
