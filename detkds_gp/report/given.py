"""Formulas that a search was given, told from those that it made itself."""

from __future__ import annotations

from collections.abc import Iterable

from detkds_gp.language import PrimitiveSet, parse_distiller
from detkds_gp.report.outline import outline
from detkds_gp.report.run import Run

STARTED_WITH = "given in search.warm_start"
INJECTED = "given by gp_search inject"


def given(run: Run, primitive_set: PrimitiveSet) -> dict[str, str]:
    """Return by tree, as canonical text, how it was given.

    Raises:
        FormulaError: if the primitive set is not the one searched.
    """
    started = _trees(run.config["search"].get("warm_start", ()), primitive_set)
    return dict.fromkeys(_trees(run.injected, primitive_set), INJECTED) | dict.fromkeys(started, STARTED_WITH)


def _trees(texts: Iterable[str], primitive_set: PrimitiveSet) -> list[str]:
    distillers = (parse_distiller(text, primitive_set, bare=None) for text in texts)
    return [term.formula for distiller in distillers for term in outline(distiller.text)]
