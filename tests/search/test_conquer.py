from __future__ import annotations

import random
from itertools import product

import pytest

from detkds_gp.language import make_distiller, parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.score import Score
from detkds_gp.search import Formula, Mix, Search, SearchSettings, SeededToolbox, StageSettings
from detkds_gp.search.conquer import MixBreeder
from detkds_gp.search.divide import divide_stage
from detkds_gp.search.evolution import Ledger

WEIGHTS = (0.5, 1.0, 5.0)
TWO = OMNI.without(*(d.name for d in OMNI.declarations.values() if d.niche not in ("", "global", "class_logits")))
"""OMNI with two niches."""
SMALL = StageSettings(population=4, offspring=4, generations=2)


def champion(text: str) -> Formula:
    (term,) = parse_distiller(text, OMNI).terms
    made = Formula(term.tree, term.knowledge)
    made.distiller = make_distiller([term], OMNI)
    return made


def breeder(*weights: float, **settings: object) -> MixBreeder:
    champions = [
        [champion(f"calibrated * {text}") for text in ("l2(global)", "l1(global)")],
        [champion("calibrated * binary_kl(units(class_logits, 2))")],
    ]
    chosen = SearchSettings(weights=weights or WEIGHTS, **settings)
    return MixBreeder(OMNI, chosen, SeededToolbox(random.Random(0)), champions)


def every_mix() -> set[str]:
    """All mixes, written out."""
    of_global = [f"{w} * calibrated * {d}(global)" for w in ("0.5", "1", "5") for d in ("l1", "l2")]
    kl = "calibrated * binary_kl(units(class_logits, 2))"
    of_logits = [f"{w} * {kl}" for w in ("0.5", "1", "5")]
    both = [f"{a} + {b}" for a, b in product(of_global, of_logits)]
    return {*of_global, *of_logits, *both}


@pytest.mark.parametrize("strategy", ["evolution", "random"])
def test_variation_reaches_every_mix_and_nothing_else(strategy):
    toolbox = breeder(strategy=strategy).toolbox
    members = [mix for _ in range(20) if (mix := toolbox.fresh("mix"))]
    for number, mix in enumerate(members):
        mix.fitness.values = (number / len(members), 1.0)
    before = [list(mix) for mix in members]
    seen: set[str] = set()
    for _ in range(3_000):
        child = toolbox.vary(members)
        if child is not None:
            assert isinstance(child, Mix)
            assert not child.fitness.valid
            seen.add(child.distiller.text)
            members[random.Random(len(seen)).randrange(len(members))].fitness.values = (0.5, 1.0)
    assert seen <= every_mix()
    assert len(seen) > 0.9 * len(every_mix())
    assert [list(mix) for mix in members] == before


def test_a_weight_moves_to_its_neighbours_only():
    toolbox, seen = breeder().toolbox, set()
    for _ in range(300):
        (genes,) = toolbox.mutate(Mix([(0, 1), (None, 1)]))
        if genes[0][0] == 0 and genes[1][0] is None and genes[0] != (0, 1):
            seen.add(genes[0][1])
    assert seen == {0, 2}
    single = breeder(1.0).toolbox
    assert all(single.mutate(Mix([(0, 0), (0, 0)])) for _ in range(50))


def test_the_stage_is_seeded_with_single_champions_and_their_equal_mix(run, analytic):
    settings = SearchSettings(divide=SMALL, conquer=SMALL, weights=WEIGHTS, champions=2)
    search = Search(OMNI, settings, seed=3)
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
        assert {analytic(one.distiller).ap for one in search.champions[niche]} == {analytic(d).ap for d in mine[:2]}
    first = [c.distiller.text for c in conquered[0]]
    assert first[0] == " + ".join(best[niche] for niche in OMNI.niches)
    assert conquered[0][0].parents == tuple(best.values())
    assert not set(first) & set(best.values())
    record = next(r for r in search.logbook if r["stage"] == "conquer")
    assert record["best"] >= max(analytic(c.distiller).ap for c in divided)
    weights = {term.weight for gen in conquered for c in gen for term in c.distiller.terms}
    assert weights == set(WEIGHTS)


def test_a_niche_with_only_failures_is_left_out(run, analytic):
    def evaluate(distiller):
        if "class_logits" in distiller.text or "class_map" in distiller.text:
            return Score.failed("nonfinite")
        return analytic(distiller)

    search = Search(TWO, SearchSettings(divide=SMALL, conquer=SMALL), seed=1)
    generations = run(search, evaluate)
    conquered = [c for gen in generations for c in gen if c.stage == "conquer"]
    assert list(search.champions) == ["global"]
    assert conquered
    assert all([t.knowledge for t in c.distiller.terms] == ["global"] for c in conquered)
    kept = [r["best"] for r in search.logbook if r["niche"] == "class_logits" and "best" in r]
    assert kept == []


def test_failures_elsewhere_do_not_enlarge_a_niche(analytic):
    stage = divide_stage(OMNI, SearchSettings(divide=SMALL), Ledger(), random.Random(0))
    steps = stage.run()
    candidates = next(steps)
    for _ in range(2):
        scores = [analytic(c.distiller) if c.niche == "global" else Score.failed("shape") for c in candidates]
        candidates = steps.send(scores)
        assert [one.niche for one in stage.population] == ["global"] * SMALL.population
        assert {c.niche for c in candidates} == set(OMNI.niches)
