"""Plain coefficients, as papers and people write them, in calibrated units: divided by the scale of their tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from detkds_gp.language import Distiller, PrimitiveSet, Term, parse_distiller
from detkds_gp.score import Scale
from detkds_gp.search import SearchSettings, rounded

Scales = Callable[[Sequence[str]], Mapping[str, Scale]]
"""Gives the measured scale of each of some formulas."""


def in_units(distiller: Distiller, scales: Scales) -> Distiller:
    """Return the distiller with ``weight * calibrated`` in place of every plain coefficient.

    Weights have two significant digits. A tree whose scale cannot be measured gets weight 1: its training
    says why.
    """
    measured = scales([term.formula for term in distiller.terms if term.scale is not None])
    return Distiller(tuple(_in_units(term, measured) for term in distiller.terms))


def _in_units(term: Term, measured: Mapping[str, Scale]) -> Term:
    if term.scale is None:
        return term
    scale = measured[term.formula].value
    weight = 1.0 if scale is None else rounded(term.weight * term.scale / scale)
    return replace(term, weight=weight, scale=None)


def weighed(texts: Iterable[str], primitive_set: PrimitiveSet, scales: Scales) -> list[str]:
    """Return formulas, each of one tree, as a search takes them: at their weights in calibrated units.

    A plain coefficient, such as a paper's weight, gives two: at that weight and at 1. A tree without a number
    before it is taken at 1.

    Raises:
        FormulaError: if a formula is broken, or names what the set does not have.
    """
    terms = [term for text in texts for term in parse_distiller(text, primitive_set, bare=None).terms]
    measured = scales(list(dict.fromkeys(term.formula for term in terms if term.scale is not None)))
    found: dict[str, None] = {}
    for term in terms:
        found[_in_units(term, measured).text] = None
        if term.scale is not None:
            found[replace(term, weight=1.0, scale=None).text] = None
    return list(found)


def starting(
    settings: SearchSettings, primitive_set: PrimitiveSet, scales: Scales, say: Callable[[str], None]
) -> list[Distiller]:
    """Return what a search starts with, in calibrated units; says which weights are out of the range.

    Raises:
        FormulaError: as `weighed`.
    """
    found = [parse_distiller(text, primitive_set) for text in weighed(settings.warm_start, primitive_set, scales)]
    low, high = settings.weight_range
    for distiller in found:
        if not low <= distiller.terms[0].weight <= high:
            said = f"{distiller.text} is beyond search.weight_range, {low:g} to {high:g}"
            say(f"{said}: it joins all the same, and widens it")
    return found
