from __future__ import annotations

from collections import Counter
from math import log10

import pytest

from detkds_gp.primitives import OMNI
from detkds_gp.score import Score
from detkds_gp.screening import Finding
from detkds_gp.search import DivideAndConquer, SearchSettings, StageSettings, make_strategy

TWO = OMNI.without(*(d.name for d in OMNI.inputs if d.niche not in ("", "global", "class_logits")))
SIZES = StageSettings(population=5, offspring=5, generations=3)
SETTINGS = SearchSettings(divide=SIZES, conquer=SIZES)


def distance_of(formula):
    """Return the root and the input: formulas that share them count as one loss here."""
    return formula.partition("(")[0], "class" in formula


class Lenient:
    """Takes formulas of one root and knowledge for one loss, and rejects those with a square."""

    def __init__(self):
        self.asked = []
        self.first = {}

    def __call__(self, formulas):
        self.asked.append(list(formulas))
        return [self.find(formula) for formula in formulas]

    def find(self, formula):
        if "square" in formula:
            return Finding(Score.failed("rejected:zero"))
        first = self.first.setdefault(distance_of(formula), formula)
        return Finding(twin=first if first != formula else None)


def test_without_a_screen_nothing_changes(run, analytic):
    def accept(formulas):
        return [Finding()] * len(formulas)

    assert run(DivideAndConquer(TWO, SETTINGS, 3), analytic) == run(
        DivideAndConquer(TWO, SETTINGS, 3, screen=accept), analytic
    )


@pytest.mark.parametrize(("strategy", "seed"), [("evolution", 1), ("belief", 1), ("regularized", 3), ("random", 1)])
def test_only_what_is_new_and_sound_is_asked(run, analytic, strategy, seed):
    screen = Lenient()
    search = make_strategy(TWO, SETTINGS.model_copy(update={"strategy": strategy}), seed, screen)
    generations = run(search, analytic)
    divided = [c.distiller.terms[0] for g in generations for c in g if c.stage == "divide"]
    trained_as = {(distance_of(term.formula), round(6 * log10(term.weight))) for term in divided}
    assert len(divided) == len(trained_as)
    assert len({loss for loss, _ in trained_as}) < len(trained_as)
    assert not any("square" in term.formula for term in divided)
    counts = search.counts
    asked = sum(map(len, generations))
    assert counts["rejected"] > 0
    assert counts["generated"] == counts["duplicates"] + counts["rejected"] + counts["trained"]
    assert counts["trained"] == asked
    assert sum(search.logbook.select("merged")) > 0
    assert sum(search.logbook.select("rejected")) == counts["rejected"]


def test_a_generation_is_filled_with_what_is_new(run, analytic):
    """Half of all formulas are turned away, and generations are as large as ever."""

    def half(formulas):
        return [Finding(Score.failed("rejected:zero")) if len(f) % 2 else Finding() for f in formulas]

    generations = run(DivideAndConquer(TWO, SETTINGS, 2, screen=half), analytic)
    plain = run(DivideAndConquer(TWO, SETTINGS, 2), analytic)
    divided = [[len(g) for g in run_ if g[0].stage == "divide"] for run_ in (generations, plain)]
    assert divided[0] == divided[1]
    assert all(len(c.distiller.terms[0].formula) % 2 == 0 for g in generations for c in g if c.stage == "divide")


def test_where_everything_is_rejected_the_search_ends(run, analytic):
    def none(formulas):
        return [Finding(Score.failed("rejected:zero"))] * len(formulas)

    search = DivideAndConquer(TWO, SETTINGS.model_copy(update={"attempts": 7}), screen=none)
    assert run(search, analytic) == []
    assert search.best is None
    assert 7 * len(TWO.niches) <= search.counts["rejected"]
    assert search.counts["trained"] == 0


def test_no_formula_is_screened_twice(run, analytic):
    screen = Lenient()
    run(DivideAndConquer(TWO, SETTINGS, 4, screen=screen), analytic)
    assert max(Counter(formula for formulas in screen.asked for formula in formulas).values()) == 1


@pytest.mark.parametrize("strategy", ["evolution", "belief", "regularized", "random"])
def test_at_a_fixed_weight_every_loss_is_asked_once(run, analytic, strategy):
    fixed = SETTINGS.model_copy(update={"strategy": strategy, "weight_range": (2.0, 2.0)})
    generations = run(DivideAndConquer(TWO, fixed, 1, screen=Lenient()), analytic)
    divided = [c.distiller.terms[0] for g in generations for c in g if c.stage == "divide"]
    assert len(divided) == len({distance_of(term.formula) for term in divided}) > 8
    assert {term.weight for g in generations for c in g for term in c.distiller.terms} == {2.0}


def test_champions_are_different_losses(run, analytic):
    search = DivideAndConquer(TWO, SETTINGS, 2, screen=Lenient())
    run(search, analytic)
    for members in search.champions.values():
        losses = [distance_of(member.distiller.terms[0].formula) for member in members]
        assert len(losses) == len(set(losses)) > 1


def test_the_same_findings_give_the_same_search(run, analytic):
    one, two = (run(DivideAndConquer(TWO, SETTINGS, 5, screen=Lenient()), analytic) for _ in range(2))
    assert one == two


def test_a_twin_at_another_weight_is_another_mix(run, analytic):
    """Mixes of champions differ by weights; screening trees does not merge them."""
    generations = run(DivideAndConquer(TWO, SETTINGS, 6, screen=Lenient()), analytic)
    mixed = [c.distiller.text for g in generations for c in g if c.stage == "conquer"]
    assert len(mixed) == len(set(mixed)) > 5


def test_an_injected_twin_joins_nothing_and_an_injected_reject_is_counted(analytic, given):
    from detkds_gp.language import parse_distiller

    screen = Lenient()
    search = DivideAndConquer(TWO, SETTINGS, screen=screen)
    search.start_with(given(["l2(global)"], TWO))
    asked = search.ask()
    assert "l2(global)" in {c.distiller.terms[0].formula for c in asked}
    search.inject(parse_distiller("l2(relu(global))", TWO))
    search.inject(parse_distiller("l1(square(global))", TWO))
    search.tell([analytic(c.distiller) for c in asked])
    following = {c.distiller.terms[0].formula for c in search.ask()}
    assert not following & {"l2(relu(global))", "l1(square(global))"}
    assert {"l2(relu(global))", "l1(square(global))"} <= {f for formulas in screen.asked for f in formulas}
