from __future__ import annotations

import random
from collections import Counter
from math import floor, log10
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.score import Score
from detkds_gp.screening import Finding
from detkds_gp.search import (
    DivideAndConquer,
    SearchSettings,
    StageSettings,
    WeightRange,
    make_strategy,
    random_formulas,
)
from detkds_gp.search.weights import STEP, cell, rounded

FIVE_DECADES = WeightRange(0.01, 1000.0)
TWO = OMNI.without(*(d.name for d in OMNI.inputs if d.niche not in ("", "global", "class_logits")))


def stratum(weight: float, strata: int) -> int:
    """Which of equal parts of five decades from 0.01 a weight lies in; rounding may put it on a border."""
    return min(floor(strata * (log10(weight) + 2) / 5 + 1e-9), strata - 1)


@given(st.floats(1e-6, 1e6))
def test_cells_are_a_sixth_of_a_decade_wide(weight):
    assert abs(6 * log10(weight) - cell(weight)) <= 0.5 + 1e-9
    assert cell(10 * weight) - cell(weight) in (5, 6, 7)
    assert abs(rounded(weight) / weight - 1) <= 0.05 + 1e-9
    assert len(f"{rounded(weight):e}".split("e")[0].rstrip("0").replace(".", "")) <= 2


def test_each_weight_is_drawn_where_the_others_leave_room():
    rng, present = random.Random(0), [900.0, 5000.0, 1e-9]
    for _ in range(8):
        present.append(FIVE_DECADES.drawn(rng, present, 10))
    assert set(Counter(stratum(min(max(w, 0.01), 1000), 10) for w in present)) >= set(range(1, 9))


def test_drawn_alone_they_are_uniform_in_the_logarithm():
    rng = random.Random(1)
    logs = [log10(FIVE_DECADES.drawn(rng)) for _ in range(4000)]
    assert -2 <= min(logs) < -1.9
    assert 2.9 < max(logs) <= 3
    assert abs(mean(logs) - 0.5) < 0.1
    assert abs(stdev(logs) - 5 / 12**0.5) < 0.05


def test_a_step_is_log_normal_and_stays_in_the_range():
    rng = random.Random(2)
    steps = [log10(FIVE_DECADES.moved(rng, 3.0) / 3.0) for _ in range(4000)]
    assert abs(mean(steps)) < 0.03
    assert abs(stdev(steps) - STEP) < 0.03
    for start in (0.01, 0.013, 1000.0):
        moved = [FIVE_DECADES.moved(rng, start) for _ in range(500)]
        assert all(0.01 <= weight <= 1000 for weight in moved)
        assert len(set(moved)) > 50
        assert max(Counter(moved).values()) < 150  # the ends are walls, not sinks


def test_a_weight_out_of_the_range_widens_it_and_a_fixed_one_stays():
    rng = random.Random(3)
    moved = [FIVE_DECADES.moved(rng, 40_000.0) for _ in range(300)]
    assert max(moved) > 1000
    assert all(0.01 <= weight <= 40_000 for weight in moved)
    assert {WeightRange(2.0, 2.0).moved(rng, 2.0) for _ in range(20)} == {2.0}
    assert {WeightRange(2.0, 2.0).drawn(rng, [2.0], 4) for _ in range(20)} == {2.0}


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=["OMNI", "DETKDS"])
@pytest.mark.parametrize("strategy", ["evolution", "belief", "regularized", "random"])
def test_the_first_generation_of_every_niche_is_spread_over_the_range(primitive_set, strategy):
    """Also where half of what is drawn is turned away."""

    def half(formulas):
        return [Finding(Score.failed("rejected:zero")) if len(f) % 2 else Finding() for f in formulas]

    sizes = StageSettings(population=10, offspring=4, generations=1)
    for screen in (half, lambda formulas: [Finding()] * len(formulas)):
        search = make_strategy(primitive_set, SearchSettings(divide=sizes, strategy=strategy), 5, screen)
        asked = search.ask()
        for niche in primitive_set.niches:
            weights = [c.distiller.terms[0].weight for c in asked if c.niche == niche]
            assert len(weights) == 10
            assert len({stratum(weight, 10) for weight in weights}) >= 9  # rounding moves one over a border


def test_random_formulas_are_spread_too():
    settings = SearchSettings(divide=StageSettings(population=10))
    drawn = (d for d in random_formulas(TWO, settings, random.Random(0)) if d is not None)
    weights = [next(drawn).terms[0].weight for _ in range(20)]
    assert len({stratum(weight, 10) for weight in weights}) == 10


def test_the_same_formula_at_another_weight_is_a_candidate_that_names_its_relative(run, analytic):
    sizes = StageSettings(population=6, offspring=12, generations=4)
    generations = run(
        DivideAndConquer(TWO, SearchSettings(divide=sizes, conquer=sizes, crossover=0.0), seed=3), analytic
    )
    moved = 0
    for candidate in (c for g in generations for c in g if c.stage == "divide" and len(c.parents) == 1):
        (mine,), (theirs,) = candidate.distiller.terms, parse_distiller(candidate.parents[0], TWO).terms
        if mine.formula == theirs.formula:
            assert cell(mine.weight) != cell(theirs.weight)
            moved += 1
        else:
            assert mine.weight == theirs.weight
    assert moved > 8


@pytest.mark.parametrize("best_at", [0.1, 300.0])
def test_evolution_finds_the_weight_far_from_one(run, best_at):
    def landscape(distiller):
        (score,) = (1 - abs(log10(term.weight / best_at)) / 5 for term in distiller.terms[:1])
        return Score(score - 0.3 * (len(distiller.terms) > 1))

    sizes = StageSettings(population=8, offspring=8, generations=5)
    search = DivideAndConquer(TWO, SearchSettings(divide=sizes, conquer=sizes), seed=1)
    run(search, landscape)
    for members in search.champions.values():
        assert abs(log10(members[0].weight / best_at)) < 0.2
