from __future__ import annotations

import random

import pytest
from deap import tools

from detkds_gp.errors import ConfigError
from detkds_gp.language import (
    Distiller,
    PrimitiveSet,
    canonical,
    depth,
    parse_distiller,
    parse_tree,
    to_text,
)
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.score import Score
from detkds_gp.search import DivideAndConquer, Formula, SearchSettings, SeededToolbox, StageSettings
from detkds_gp.search.divide import FormulaBreeder

SMALL = StageSettings(population=4, offspring=4, generations=1)


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=["OMNI", "DETKDS"])
@pytest.mark.parametrize("breeds", [True, False])
def test_offspring_are_canonical_and_within_the_limits(primitive_set, breeds):
    settings = SearchSettings(max_depth=5, max_size=14)
    toolbox = FormulaBreeder(primitive_set, settings, SeededToolbox(random.Random(0)), breeds).toolbox
    for niche in primitive_set.niches:
        grammar = primitive_set.niche(niche)
        members = [one for _ in range(60) if (one := toolbox.fresh(niche))][:20]
        for one in members:
            one.fitness.values = (random.Random(to_text(one)).random(), 1.0)
        before = [to_text(one) for one in members]
        made = [one for _ in range(200) if (one := toolbox.vary(members))]
        assert len(made) > 100
        for child in made:
            text = to_text(child)
            assert to_text(parse_tree(text, grammar)) == text
            assert to_text(canonical(child, primitive_set)) == text
            assert parse_distiller(child.distiller.text, primitive_set).text == child.distiller.text
            assert child.distiller.text == f"{child.weight:g} * calibrated * {text}"
            assert 0.01 <= child.weight <= 1000
            assert depth(child) <= 5
            assert len(child) <= 14
            assert child.niche == niche
            assert not child.fitness.valid
            assert set(child.parents) <= {one.distiller.text for one in members}
            assert len(child.parents) in ((1, 2) if breeds else (0,))
        assert [to_text(one) for one in members] == before


def test_limits_are_reached_but_what_breaks_them_is_none():
    settings = SearchSettings(max_depth=6, max_size=9)
    toolbox = FormulaBreeder(OMNI, settings, SeededToolbox(random.Random(0))).toolbox
    made = [toolbox.fresh("global") for _ in range(400)]
    sizes = {len(one) for one in made if one is not None}
    assert None in made
    assert max(sizes) == 9


def test_warm_start_joins_generation_0_of_its_niche(given):
    known = ("l2(global)", "2 * 0.5 * kl(softmax_row(class_logits, 2)) + l1(global)")
    doubled = "l1(relu(relu(global)))", "l1(relu(global))"
    search = DivideAndConquer(OMNI, SearchSettings(divide=SMALL))
    search.start_with(given([*known, *doubled], OMNI))
    first = search.ask()
    asked = {niche: [c.distiller.text for c in first if c.niche == niche] for niche in OMNI.niches}
    start = ["l2(global)", "l1(global)", "l1(relu(global))"]
    assert asked["global"][:3] == [f"1 * calibrated * {text}" for text in start]
    assert asked["class_logits"][0] == "2 * calibrated * kl(softmax_row(class_logits, 2))"
    assert {niche: len(texts) for niche, texts in asked.items()} == dict.fromkeys(OMNI.niches, 4)


def test_more_warm_starts_than_the_population_are_all_asked(given):
    texts = tuple(f"{d}({t}(global))" for d in ("l1", "l2") for t in ("relu", "tanh", "sigmoid"))
    search = DivideAndConquer(OMNI, SearchSettings(divide=SMALL))
    search.start_with(given(texts, OMNI))
    asked = [c.distiller.text for c in search.ask() if c.niche == "global"]
    assert sorted(asked) == sorted(f"1 * calibrated * {text}" for text in texts)


@pytest.mark.parametrize("limits", [{"max_depth": 2}, {"max_size": 3}])
def test_the_limits_are_for_what_is_bred_from_a_warm_start(limits, given):
    text = "l2(relu(tanh(global)))"
    search = DivideAndConquer(OMNI, SearchSettings(divide=SMALL, **limits))
    search.start_with(given([text], OMNI))
    asked = search.ask()
    assert f"1 * calibrated * {text}" in [candidate.distiller.text for candidate in asked]
    search.tell([Score(0.9 if text in candidate.distiller.text else 0.1) for candidate in asked])
    for candidate in search.ask():
        (term,) = candidate.distiller.terms
        assert depth(term.tree) <= limits.get("max_depth", 6)
        assert len(term.tree) <= limits.get("max_size", 40)


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=["OMNI", "DETKDS"])
def test_published_distillers_breed(primitive_set, given):
    """Also with what the grammar knows and never draws, and from trees beyond the limits."""
    texts = tuple(entry.formula for entry in ZOO.values())
    settings = SearchSettings()
    breeder = FormulaBreeder(primitive_set, settings, SeededToolbox(random.Random(3)))
    seeds, inherited = breeder.unlimited(given(texts, primitive_set)), set()
    for niche in ("global", "foreground_background", "instance", "class_logits"):
        members = [seed for seed in seeds if seed.niche == niche]
        for seed in members:
            seed.fitness.values = (random.Random(to_text(seed)).random(), 1.0)
        children = [child for _ in range(150) if (child := breeder.toolbox.vary(members))]
        assert len(children) > 30
        for child in children:
            text = child.distiller.text
            assert parse_distiller(text, primitive_set).text == text
            assert depth(child) <= settings.max_depth
            inherited |= {name for name in primitive_set.known if f"{name}(" in text}
    assert {"masked_generation", "global_context"} <= inherited


def test_every_loss_survives_at_its_best_weight_only(analytic):
    sizes = StageSettings(population=4, offspring=12, generations=4)
    stage = DivideAndConquer(OMNI, SearchSettings(divide=sizes), seed=1)._divide()
    candidates, several, best, known = stage.ask(), 0, {}, {niche: set() for niche in OMNI.niches}
    for _ in range(4):
        scores = [analytic(candidate.distiller) for candidate in candidates]
        for candidate, score in zip(candidates, scores, strict=True):
            (term,) = candidate.distiller.terms
            several += term.formula in best
            best[term.formula] = max(best.get(term.formula, 0.0), score.ap)
            known[candidate.niche].add(term.formula)
        stage.tell(scores)
        candidates = stage.ask()
        texts = [to_text(one) for one in stage.population]
        wanted = sum(min(sizes.population, len(formulas)) for formulas in known.values())
        assert len(texts) == len(set(texts)) == wanted
        assert [one.fitness.values[0] for one in stage.population] == [best[text] for text in texts]
    assert wanted == sizes.population * len(OMNI.niches)
    assert several > 20


def test_a_niche_deeper_than_the_limit_is_left_out_and_no_niche_is_an_error(run, analytic):
    names = ("global", "class_logits", "positions", "softmax_row", "kl", "temperature")
    kl_only = PrimitiveSet("KL", [OMNI.declarations[name] for name in names])
    settings = SearchSettings(max_depth=2, divide=SMALL)
    generations = run(DivideAndConquer(kl_only, settings), analytic)
    assert {c.niche for c in generations[0]} == {"class_logits"}
    with pytest.raises(ConfigError, match="max_depth is 1, wanted 2 or more"):
        DivideAndConquer(kl_only, SearchSettings(max_depth=1))


def test_nsga2_survivors_are_deaps():
    def dear(distiller: Distiller) -> Score:
        """More operations, more AP, on average."""
        return Score(0.01 * distiller.cost + random.Random(distiller.text).random() / 50)

    sizes = StageSettings(population=5, offspring=7, generations=4)
    settings = SearchSettings(objectives="ap_and_cost", divide=sizes, weight_range=(1.0, 1.0))
    stage = DivideAndConquer(OMNI, settings, seed=2)._divide()
    candidates, unlike_best, pools = stage.ask(), 0, {niche: [] for niche in OMNI.niches}
    for _ in range(5):
        for candidate in candidates:
            one = Formula(candidate.distiller.terms[0].tree, candidate.niche)
            one.fitness.values = (dear(candidate.distiller).ap, candidate.distiller.cost)
            pools[candidate.niche].append(one)
        stage.tell([dear(candidate.distiller) for candidate in candidates])
        candidates = stage.ask()
        for niche, pool in pools.items():
            survivors = [to_text(one) for one in stage.population if one.niche == niche]
            unlike_best += set(survivors) != set(map(to_text, tools.selBest(pool, 5)))
            pools[niche] = tools.selNSGA2(pool, 5)
            assert survivors == [to_text(one) for one in pools[niche]]
        assert len(stage.population) == 5 * len(OMNI.niches)
    assert not candidates
    assert unlike_best > 4
