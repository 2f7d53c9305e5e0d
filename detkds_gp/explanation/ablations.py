"""What is left of a distiller without one of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deap import gp

from detkds_gp.errors import FormulaError
from detkds_gp.language import NONE, Distiller, PrimitiveSet, Term, make_distiller, make_term
from detkds_gp.language.tree import to_text
from detkds_gp.search.variation import wanted_kinds


@dataclass(frozen=True)
class Ablation:
    """A distiller without one of its parts.

    Attributes:
        kind: ``term``, or ``subtree``: a call that one of its arguments stands in for.
        removed: the text of the part.
        left: the text of what stands in its place; empty for a term.
        distiller: what is left; the scale of a changed tree is still to be measured.
    """

    kind: str
    removed: str
    left: str
    distiller: Distiller


def ablations(distiller: Distiller, primitive_set: PrimitiveSet) -> list[Ablation]:
    """Return the distiller without each of its terms, then without each of its calls, each result once.

    Args:
        distiller: as the search calls it, scales left out.
        primitive_set: of its names.
    """
    found: dict[str, Ablation] = {}
    for ablation in (*_without_terms(distiller, primitive_set), *_without_calls(distiller, primitive_set)):
        found.setdefault(ablation.distiller.text, ablation)
    return [found[text] for text in found if text not in (distiller.text, NONE)]


def _without_terms(distiller: Distiller, primitive_set: PrimitiveSet) -> Iterator[Ablation]:
    for term in distiller.terms:
        rest = [other for other in distiller.terms if other is not term]
        yield Ablation("term", term.formula, "", make_distiller(rest, primitive_set))


def _without_calls(distiller: Distiller, primitive_set: PrimitiveSet) -> Iterator[Ablation]:
    for term in distiller.terms:
        for removed, left, tree in _shrunk(term.tree):
            try:
                smaller = make_term(tree, primitive_set, term.weight)
            except FormulaError:  # nothing sided is left
                continue
            terms: list[Term] = [smaller if other is term else other for other in distiller.terms]
            yield Ablation("subtree", removed, left, make_distiller(terms, primitive_set))


def _shrunk(tree: gp.PrimitiveTree) -> Iterator[tuple[str, str, gp.PrimitiveTree]]:
    """Yield each call, an argument that fits in its place, and the tree with it there."""
    wanted = wanted_kinds(tree)
    for start, node in enumerate(tree):
        argument = start + 1
        for _ in range(node.arity):
            inner = tree.searchSubtree(argument)
            if issubclass(tree[argument].ret, wanted[start]):
                outer = tree.searchSubtree(start)
                nodes = [*tree[: outer.start], *tree[inner], *tree[outer.stop :]]
                yield to_text(tree[outer]), to_text(tree[inner]), gp.PrimitiveTree(nodes)
            argument = inner.stop
