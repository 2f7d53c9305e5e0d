"""Formulas that a search was given, told from those that it made itself."""

from __future__ import annotations

from collections.abc import Iterable

from detkds_gp.language import PrimitiveSet, parse_distiller
from detkds_gp.report.outline import outline
from detkds_gp.report.run import Run
from detkds_gp.store.events import RIVALS_TUNED

STARTED_WITH = "given in search.warm_start"
INJECTED = "given by gp_search inject"
TUNED = "a published loss, its weight tuned before the search"


def given(run: Run, primitive_set: PrimitiveSet) -> dict[str, str]:
    """Return by tree, as canonical text, how it was given.

    Raises:
        FormulaError: if the primitive set is not the one searched.
    """
    rivals = [one for event in run.events if event.kind == RIVALS_TUNED for one in event.detail["rivals"]]
    tuned = [(one["tuned"] or one["given"])["text"] for one in rivals if one["expected"]]
    started = run.config["search"].get("warm_start", ())
    sorts = ((run.injected, INJECTED), (started, STARTED_WITH), (tuned, TUNED))
    return {tree: how for texts, how in sorts for tree in _trees(texts, primitive_set)}


def _trees(texts: Iterable[str], primitive_set: PrimitiveSet) -> list[str]:
    distillers = (parse_distiller(text, primitive_set, bare=None) for text in texts)
    return [term.formula for distiller in distillers for term in outline(distiller.text)]
