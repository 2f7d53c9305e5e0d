"""Formulas from outside, and ends before the planned one."""

from __future__ import annotations

from collections import Counter

import pytest

from detkds_gp.errors import ConfigError
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.search import DivideAndConquer, SearchSettings, StageSettings

SETTINGS = SearchSettings(
    divide=StageSettings(population=3, offspring=2, generations=2),
    conquer=StageSettings(population=3, offspring=2, generations=2),
    champions=2,
    max_depth=4,
)
SET = OMNI.without(*(d.name for d in OMNI.inputs if d.niche not in ("global", "class_logits")))
GUEST = parse_distiller("3 * l2(unit_channel(global)) + 7 * l1(class_logits)", SET)


def run(analytic, steer):
    """Run a search; ``steer(search, stage, number)`` is called before each tell. Returns texts by generation."""
    search, seen = DivideAndConquer(SET, SETTINGS, seed=3), {}
    while candidates := search.ask():
        key = candidates[0].stage, candidates[0].generation
        seen[key] = [candidate.distiller.text for candidate in candidates]
        steer(search, *key)
        search.tell([analytic(candidate.distiller) for candidate in candidates])
    assert search.done
    return search, seen


def test_an_injected_formula_joins_the_next_generation_beside_its_offspring(analytic):
    _, plain = run(analytic, lambda *_: None)
    _, seen = run(analytic, lambda search, *at: search.inject(GUEST) if at == ("divide", 0) else None)
    assert seen["divide", 0] == plain["divide", 0]
    for formula in ("3 * calibrated * l2(unit_channel(global))", "7 * calibrated * l1(class_logits)"):
        assert formula in seen["divide", 1]
        assert formula not in plain["divide", 1]
    assert len(seen["divide", 1]) == len(plain["divide", 1]) + 2


def test_an_injected_formula_of_the_last_generation_of_formulas_joins_the_first_of_mixes(analytic):
    _, seen = run(analytic, lambda search, *at: search.inject(GUEST) if at == ("divide", 2) else None)
    mix = "3 * calibrated * l2(unit_channel(global)) + 7 * calibrated * l1(class_logits)"
    assert {tuple(sorted(mix.split(" + ")))} <= {tuple(sorted(text.split(" + "))) for text in seen["conquer", 0]}


def test_an_injected_formula_among_mixes_is_a_champion_from_then_on(analytic):
    search, seen = run(analytic, lambda search, *at: search.inject(GUEST) if at == ("conquer", 0) else None)
    assert any("3 * calibrated * l2(unit_channel(global))" in text for text in seen["conquer", 1])
    assert all(len(members) <= 2 for members in search.champions.values())


def test_an_injected_formula_that_breaks_the_limits_is_left_out(analytic):
    deep = parse_distiller("l2(unit_channel(max_pool_2(unit_space(max_pool_2(global)))))", SET)
    _, plain = run(analytic, lambda *_: None)
    _, seen = run(analytic, lambda search, *at: search.inject(deep) if at == ("divide", 0) else None)
    assert len(seen["divide", 1]) == len(plain["divide", 1])


@pytest.mark.parametrize(
    ("at", "what", "left"),
    [
        (("divide", 0), "stage", [("divide", 0), ("conquer", 0), ("conquer", 1), ("conquer", 2)]),
        (("divide", 1), "search", [("divide", 0), ("divide", 1)]),
        (("divide", 2), "search", [("divide", 0), ("divide", 1), ("divide", 2)]),
        (("conquer", 0), "stage", [("divide", 0), ("divide", 1), ("divide", 2), ("conquer", 0)]),
    ],
)
def test_a_stage_or_the_search_ends_with_the_generation_asked(analytic, at, what, left):
    _, plain = run(analytic, lambda *_: None)
    search, seen = run(analytic, lambda search, *now: search.end(what) if now == at else None)
    assert list(seen) == left
    assert all(seen[key] == plain[key] for key in left if key[0] == "divide")
    assert search.best is not None
    assert [(r["stage"], r["generation"]) for r in search.logbook if r["niche"] in ("global", "mix")] == left


def test_steering_repeats(analytic):
    def steer(search, *at):
        if at == ("divide", 1):
            search.inject(GUEST)
            search.end("stage")

    assert run(analytic, steer)[1] == run(analytic, steer)[1]


def by_niche(analytic, most):
    """Return the new individuals of every niche and generation when generations may have at most so many."""
    search, sizes = DivideAndConquer(SET, SETTINGS, seed=3), {}
    search.resize(most[0])
    while candidates := search.ask():
        at = candidates[0].stage, candidates[0].generation
        sizes[at] = Counter(candidate.niche for candidate in candidates)
        search.resize(most[min(len(sizes), len(most) - 1)])
        search.tell([analytic(candidate.distiller) for candidate in candidates])
    return sizes


def test_sizes_hold_for_the_generation_that_is_made_next(analytic):
    sizes = by_niche(analytic, [2, 1, 2, 1])
    assert sizes["divide", 0] == {"global": 2, "class_logits": 2}
    assert sizes["divide", 1] == {"global": 1, "class_logits": 1}
    assert sizes["divide", 2] == {"global": 2, "class_logits": 2}
    assert max(sizes[at]["mix"] for at in sizes if at[0] == "conquer") == 1


def test_sizes_above_the_settings_change_nothing(analytic):
    _, plain = run(analytic, lambda *_: None)
    assert {at: count.total() for at, count in by_niche(analytic, [9]).items()} == {
        at: len(texts) for at, texts in plain.items()
    }


def test_what_is_given_comes_first_where_not_all_of_it_fits(given):
    texts = [f"calibrated * l{n}(unit_channel(global))" for n in (1, 2)] + ["calibrated * l2(global)"]
    search = DivideAndConquer(SET, SETTINGS, seed=3)
    search.start_with(given(texts, SET))
    search.resize(2)
    born = [c.distiller.text for c in search.ask() if c.niche == "global"]
    assert [text.partition(" * ")[2] for text in born] == texts[:2]


def test_an_empty_generation_is_refused():
    with pytest.raises(ConfigError, match="wanted 1 or more"):
        DivideAndConquer(SET, SETTINGS).resize(0)
