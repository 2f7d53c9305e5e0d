from __future__ import annotations

import random
from collections import Counter
from math import log10
from statistics import median

import pytest

from detkds_gp.language import make_distiller, parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.score import Score
from detkds_gp.search import DivideAndConquer, Formula, Gene, Mix, SearchSettings, SeededToolbox, StageSettings
from detkds_gp.search.conquer import MixBreeder

TWO = OMNI.without(*(d.name for d in OMNI.inputs if d.niche not in ("", "global", "class_logits")))
"""OMNI with two niches."""
SMALL = StageSettings(population=4, offspring=4, generations=2)


def champion(text: str) -> Formula:
    (term,) = parse_distiller(text, OMNI).terms
    made = Formula(term.tree, term.knowledge, term.weight)
    made.distiller = make_distiller([term], OMNI)
    return made


def breeder(breeds: bool = True, **settings: object) -> MixBreeder:
    champions = [
        [champion(f"{text}") for text in ("0.02 * calibrated * l2(global)", "50 * calibrated * l1(global)")],
        [champion("3 * calibrated * binary_kl(units(class_logits, 2))")],
    ]
    return MixBreeder(OMNI, SearchSettings(**settings), SeededToolbox(random.Random(0)), champions, breeds)


@pytest.mark.parametrize("breeds", [True, False])
def test_variation_reaches_every_choice_at_weights_around_the_champions_own(breeds):
    toolbox = breeder(breeds).toolbox
    members = [mix for _ in range(20) if (mix := toolbox.fresh("mix"))]
    for number, mix in enumerate(members):
        mix.fitness.values = (number / len(members), 1.0)
    before = [list(mix) for mix in members]
    seen, weights = set(), {"l2(global)": [], "l1(global)": [], "binary_kl(units(class_logits, 2))": []}
    for _ in range(1_000):
        child = toolbox.vary(members)
        if child is not None:
            assert isinstance(child, Mix)
            assert not child.fitness.valid
            seen.add(tuple(term.formula for term in child.distiller.terms))
            for term in child.distiller.terms:
                assert term.scale is None
                assert 0.01 <= term.weight <= 1000
                weights[term.formula].append(log10(term.weight))
    logits = "binary_kl(units(class_logits, 2))"
    assert seen == {(logits,), *((d,) for d in ("l2(global)", "l1(global)"))} | {
        (d, logits) for d in ("l2(global)", "l1(global)")
    }
    for text, own in (("l2(global)", 0.02), ("l1(global)", 50), (logits, 3)):
        assert abs(median(weights[text]) - log10(own)) < 0.4
        assert len(set(weights[text])) > 20
    assert [list(mix) for mix in members] == before


def test_a_mutation_moves_one_weight_or_draws_one_gene_anew():
    toolbox, seen = breeder().toolbox, Counter()
    start = [Gene(0, 2.0), Gene()]
    for _ in range(400):
        (genes,) = toolbox.mutate(Mix(start))
        changed = [index for index in range(2) if genes[index] != start[index]]
        assert len(changed) <= 1
        seen["moved"] += genes[0].rank == 0 and genes[0].weight != 2.0
        seen["anew"] += genes[0].rank != 0 or genes[1] != Gene()
    assert min(seen.values()) > 80
    fixed = breeder(weight_range=(1.0, 1.0)).toolbox
    assert all(
        {gene.weight for gene in fixed.mutate(Mix([Gene(0, 1.0), Gene()]))[0]} <= {1.0, 0.02, 50.0, 3.0}
        for _ in range(50)
    )


def test_the_stage_is_seeded_with_single_champions_and_their_equal_mix(run, analytic):
    settings = SearchSettings(divide=SMALL, conquer=SMALL, champions=2)
    search = DivideAndConquer(OMNI, settings, seed=3)
    generations = run(search, analytic)
    divided = [c for gen in generations for c in gen if c.stage == "divide"]
    conquered = [gen for gen in generations if gen[0].stage == "conquer"]
    best = {}
    for niche in OMNI.niches:
        mine = sorted(
            (c.distiller for c in divided if c.niche == niche),
            key=lambda d: (-analytic(d).ap, d.cost),
        )
        best[niche] = mine[0].text
        found = [one.distiller.text for one in search.champions[niche]]
        assert found[0] == best[niche]
        assert len(found) == 2
        assert len({one.distiller.terms[0].formula for one in search.champions[niche]}) == len(found)
    first = [c.distiller.text for c in conquered[0]]
    assert first[0] == " + ".join(best[niche] for niche in OMNI.niches)
    assert conquered[0][0].parents == tuple(best.values())
    assert not set(first) & set(best.values())
    record = next(r for r in search.logbook if r["stage"] == "conquer")
    assert record["best"] >= max(analytic(c.distiller).ap for c in divided)
    weights = {term.weight for gen in conquered for c in gen for term in c.distiller.terms}
    assert len(weights - {one.weight for members in search.champions.values() for one in members}) >= 4


def test_a_niche_with_only_failures_is_left_out(run, analytic):
    def evaluate(distiller):
        if "class_logits" in distiller.text or "class_map" in distiller.text:
            return Score.failed("nonfinite")
        return analytic(distiller)

    search = DivideAndConquer(TWO, SearchSettings(divide=SMALL, conquer=SMALL), seed=1)
    generations = run(search, evaluate)
    conquered = [c for gen in generations for c in gen if c.stage == "conquer"]
    assert list(search.champions) == ["global"]
    assert conquered
    assert all([t.knowledge for t in c.distiller.terms] == ["global"] for c in conquered)
    kept = [r["best"] for r in search.logbook if r["niche"] == "class_logits" and "best" in r]
    assert kept == []


def test_failures_elsewhere_do_not_enlarge_a_niche(analytic):
    stage = DivideAndConquer(OMNI, SearchSettings(divide=SMALL), seed=0)._divide()
    candidates = stage.ask()
    for _ in range(2):
        stage.tell([analytic(c.distiller) if c.niche == "global" else Score.failed("shape") for c in candidates])
        candidates = stage.ask()
        assert [one.niche for one in stage.population] == ["global"] * SMALL.population
        assert {c.niche for c in candidates} == set(OMNI.niches)
