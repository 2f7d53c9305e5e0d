"""What a distiller's canonical text says of itself, read without building trees: a store may hold 100,000 of them.

>>> (term,) = outline("2 * 0.5 * l2(unit_channel(global))")
>>> term.weight, term.calls, term.names, term.depth
(2.0, ('unit_channel(global)', 'l2(unit_channel(global))'), ('l2', 'unit_channel', 'global'), 2)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from detkds_gp.language import NONE

_TOKEN = re.compile(r"[A-Za-z_]\w*|[(),]|[^\s(),]+")


@dataclass(frozen=True)
class TermOutline:
    """One term of a distiller.

    Attributes:
        weight: in front of its scale.
        formula: the tree's text.
        calls: the text of every subtree that computes something, each once, arguments first.
        names: of its primitives and inputs, in the order written, repeated as often as written.
        depth: edges from the root to its farthest leaf.
    """

    weight: float
    formula: str
    calls: tuple[str, ...]
    names: tuple[str, ...]
    depth: int


def outline(text: str) -> tuple[TermOutline, ...]:
    """Read a canonical text; ``none`` has no terms.

    Raises:
        ValueError: it is no canonical text.
    """
    return tuple(_term(part) for part in text.split(" + ")) if text != NONE else ()


def _term(text: str) -> TermOutline:
    weight, _, formula = text.split(" * ", 2)
    calls: dict[str, None] = {}
    names: list[str] = []
    opened: list[int] = []
    start, deepest = 0, 0
    for token in _TOKEN.finditer(formula):
        said = token[0]
        if said == "(":
            opened.append(start)
            deepest = max(deepest, len(opened))
        elif said == ")":
            calls.setdefault(formula[opened.pop() : token.end()])
        elif said != ",":
            start = token.start()
            if said.isidentifier():
                names.append(said)
    return TermOutline(float(weight), formula, tuple(calls), tuple(names), deepest)


def diversity(texts: Iterable[str]) -> float | None:
    """Return the share of different subtrees among all of some distillers: 1 where they share nothing.

    None without any subtree.
    """
    calls = [call for text in texts for term in outline(text) for call in term.calls]
    return len(set(calls)) / len(calls) if calls else None
