"""A distiller: a weighted sum of trees, one per knowledge; its canonical text is its identity.

    2 * 0.037 * l2(unit_channel(global)) + 1 * calibrated * binary_kl(units(class_logits, 2))

Every term is ``weight * scale * tree``; leading numbers may be left out. The scale is measured once
per tree and pair of detectors, so that weight 1 means the same for every formula; ``calibrated``
asks for it to be measured. ``none`` is the empty distiller: the student alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from deap import gp

from detkds_gp.errors import FormulaError
from detkds_gp.language.canonical import canonical
from detkds_gp.language.declarations import CALIBRATED, NONE
from detkds_gp.language.kinds import Loss
from detkds_gp.language.parser import Tokens, TreeParser
from detkds_gp.language.primitive_set import PrimitiveSet
from detkds_gp.language.roles import Input
from detkds_gp.language.tree import cost, is_constant, number_text, to_text


@dataclass(frozen=True)
class Term:
    """One tree of a distiller.

    Attributes:
        weight: what the search chooses.
        scale: the calibrated factor; None while it has to be measured.
        tree: canonical, returns a Loss.
        knowledge: the niche of the tree's inputs.
    """

    weight: float
    scale: float | None
    tree: gp.PrimitiveTree
    knowledge: str

    @cached_property
    def formula(self) -> str:
        """The tree's text, without weight and scale."""
        return to_text(self.tree)

    @property
    def text(self) -> str:
        """``weight * scale * tree``."""
        scale = CALIBRATED if self.scale is None else number_text(self.scale)
        return f"{number_text(self.weight)} * {scale} * {self.formula}"


@dataclass(frozen=True)
class Distiller:
    """What is trained: terms in the order of the set's niches."""

    terms: tuple[Term, ...] = ()

    @cached_property
    def text(self) -> str:
        """The canonical text: the identity."""
        return " + ".join(term.text for term in self.terms) or NONE

    @cached_property
    def cost(self) -> int:
        """Operations a training step computes for the loss."""
        return sum(cost(term.tree) for term in self.terms)

    @property
    def uncalibrated(self) -> tuple[str, ...]:
        """The formulas whose scale has to be measured."""
        return tuple(term.formula for term in self.terms if term.scale is None)

    def with_scales(self, scales: Mapping[str, float]) -> Distiller:
        """Return the distiller with the measured scale in place of every ``calibrated``."""
        return Distiller(tuple(replace(t, scale=scales[t.formula]) if t.scale is None else t for t in self.terms))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `distiller_from_json` gives the distiller back."""
        terms = [
            {"knowledge": t.knowledge, "weight": t.weight, "scale": t.scale, "tree": t.formula} for t in self.terms
        ]
        return {"formula": self.text, "terms": terms}


def make_term(
    tree: gp.PrimitiveTree,
    primitive_set: PrimitiveSet,
    weight: float = 1.0,
    scale: float | None = None,
) -> Term:
    """Make a term of the tree's canonical form; a factor at its root goes into a given scale.

    Raises:
        FormulaError: if the tree uses no sided input or those of two kinds of knowledge, or a field
            of another knowledge, or if weight times scale is no positive number.
    """
    tree = canonical(tree, primitive_set)
    while primitive_set.declarations[tree[0].name].algebra.multiplies and is_constant(tree[-1]):
        scale = scale if scale is None else scale * tree[-1].value
        tree = gp.PrimitiveTree(tree[1:-1])
    factor = weight * (1.0 if scale is None else scale)
    if not 0 < factor < math.inf:
        raise FormulaError(f"weight times scale is {factor}, wanted a positive number")
    return Term(float(weight), scale, tree, _knowledge(tree, primitive_set))


def _knowledge(tree: gp.PrimitiveTree, primitive_set: PrimitiveSet) -> str:
    """Return the one niche of a tree's sided inputs, which its fields must belong to."""
    inputs = primitive_set.inputs_of(tree)
    niches = list(dict.fromkeys(d.niche for d in inputs if d.result.sided))
    if len(niches) != 1:
        got = " and ".join(niches) or "none"
        raise FormulaError(f"one tree compares one knowledge, got {got}; write a sum of trees")
    (niche,) = niches
    for field in inputs:
        if not field.belongs_to(niche):
            got = f"{field.name!r} stands beside {niche!r}, wanted one of {', '.join(field.niches)}"
            raise FormulaError(f"{got}; {_fields_for(niche, field, primitive_set)}")
    return niche


def _fields_for(niche: str, misfit: Input, primitive_set: PrimitiveSet) -> str:
    """Say which inputs of the misfit's kind a niche has."""
    fitting = [d.name for d in primitive_set.inputs if d.result is misfit.result and d.belongs_to(niche)]
    return f"take {' or '.join(fitting)}" if fitting else "leave it out"


def make_distiller(terms: list[Term], primitive_set: PrimitiveSet) -> Distiller:
    """Order terms by knowledge.

    Raises:
        FormulaError: if two terms are of one knowledge.
    """
    ordered = sorted(terms, key=lambda term: primitive_set.niches.index(term.knowledge))
    for term, following in pairwise(ordered):
        if term.knowledge == following.knowledge:
            remedy = "a distiller has one tree per knowledge, join them with add(...)"
            raise FormulaError(f"two terms on {term.knowledge!r}; {remedy}")
    return Distiller(tuple(ordered))


def parse_distiller(text: str, primitive_set: PrimitiveSet, *, bare: float | None = 1.0) -> Distiller:
    """Read a distiller.

    Args:
        text: ``none``, or terms ``[weight *] [scale *] tree`` joined by ``+``; scale may be
            ``calibrated``.
        primitive_set: whose names the trees may use.
        bare: the scale of a tree without any number before it; None leaves it to be measured.

    Raises:
        FormulaError: for a broken tree, a weight that is not positive, or two trees of one
            knowledge; names the position.
    """
    if text.strip() == NONE:
        return Distiller()
    tokens = Tokens(text)
    terms: list[Term] = []
    while not terms or tokens.peek.sort != "end":
        if terms:
            tokens.expect("+", "between two terms")
        start = tokens.peek
        try:
            terms.append(_term(tokens, primitive_set, bare))
            distiller = make_distiller(terms, primitive_set)
        except FormulaError as error:
            raise error if error.position is not None else tokens.error(str(error), start) from None
    return distiller


def distiller_from_json(values: Any, primitive_set: PrimitiveSet) -> Distiller:
    """Read what `Distiller.to_json` returned.

    Raises:
        FormulaError: if there is no text under ``formula``, or the text is broken, or ``terms`` say something else.
    """
    formula = values.get("formula") if isinstance(values, dict) else None
    if not isinstance(formula, str):
        raise FormulaError("got no 'formula', wanted the values that Distiller.to_json returns")
    distiller = parse_distiller(formula, primitive_set)
    terms = values.get("terms")
    for row, wanted in zip(terms, distiller.to_json()["terms"], strict=False) if isinstance(terms, list) else ():
        other = next(
            (key for key in wanted if isinstance(row, dict) and row.get(key, wanted[key]) != wanted[key]), None
        )
        if other is not None:
            got = f"terms have the {other} {row[other]!r}, and the formula has {wanted[other]!r}"
            raise FormulaError(f"{got}; only the formula is read: edit it, and leave the terms out")
    return distiller


def _term(tokens: Tokens, primitive_set: PrimitiveSet, bare: float | None) -> Term:
    factors = _factors(tokens)
    if factors in ([], [None]):
        factors = [1.0, None if factors else bare]
    weight, scale = [*factors, 1.0][:2]
    tree = TreeParser(tokens, primitive_set).parse(Loss)
    return make_term(tree, primitive_set, weight or 1.0, scale)


def _factors(tokens: Tokens) -> list[float | None]:
    """Read the numbers before a tree; ``calibrated`` gives None and is the last."""
    factors: list[float | None] = []
    while tokens.peek.sort == "number" or tokens.peek.text == CALIBRATED:
        token = tokens.take()
        value = None if token.text == CALIBRATED else float(token.text)
        if value is not None and not 0 < value < math.inf:
            wanted = "wanted a positive number; to drop a term leave it out"
            raise tokens.error(f"a weight is {token.text}, {wanted}", token)
        if None in factors or len(factors) == 2:
            raise tokens.error("wanted at most weight * scale before a tree", token)
        factors.append(value)
        tokens.expect("*", "between weight, scale and tree")
    return factors
