"""Aging evolution: who is old dies, however lucky; what was best is not forgotten."""

from __future__ import annotations

from detkds_gp.primitives import DETKDS
from detkds_gp.score import Score
from detkds_gp.search import DivideAndConquer, RegularizedEvolution, SearchSettings

OTHERS = [d.name for d in DETKDS.inputs if not {"global", "class_logits"} & set(d.niches)]
TWO = DETKDS.without(*OTHERS)
SETTINGS = SearchSettings(
    divide={"population": 6, "offspring": 6, "generations": 6},
    conquer={"population": 3, "offspring": 3, "generations": 1},
)


def descendants_of_the_first(strategy: type[DivideAndConquer]) -> tuple[int, DivideAndConquer]:
    """Search where the very first formula scores far above all that come later; count its late children."""
    search, first, late = strategy(TWO, SETTINGS, 0), "", 0
    while candidates := search.ask():
        first = first or candidates[0].distiller.text
        if candidates[0].stage == "divide":
            late += sum(first in one.parents for one in candidates if one.generation >= 3)
        search.tell([Score(0.9 if one.distiller.text == first else 0.1) for one in candidates])
    return late, search


def test_a_lucky_formula_has_children_only_while_it_is_young() -> None:
    assert descendants_of_the_first(DivideAndConquer)[0] > 3
    assert descendants_of_the_first(RegularizedEvolution)[0] == 0


def test_what_was_best_is_a_champion_after_it_died() -> None:
    _, search = descendants_of_the_first(RegularizedEvolution)
    best = next(iter(search.champions.values()))[0]
    assert best.ap == 0.9
    assert search.best is not None
    assert search.best.fitness.values[0] == 0.9


def test_every_champion_is_another_loss() -> None:
    _, search = descendants_of_the_first(RegularizedEvolution)
    for members in search.champions.values():
        formulas = [member.distiller.terms[0].formula for member in members]
        assert len(formulas) == len(set(formulas))
