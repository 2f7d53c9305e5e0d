from __future__ import annotations

import random
from statistics import fmean

import numpy as np
import pytest

from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.score import Score
from detkds_gp.screening import DIRECTION, Finding
from detkds_gp.search import BeliefSearch, DivideAndConquer, Formula, SearchSettings, StageSettings
from detkds_gp.search.belief import Belief
from detkds_gp.search.belief_search import Believing
from detkds_gp.search.guide import Brood, Guide
from detkds_gp.search.individual import assign_fitness

GRAMMAR = DETKDS.without(*[d.name for d in DETKDS.inputs if d.niche not in ("global", "class_logits", "")])
SIZES = StageSettings(population=6, offspring=6, generations=4)
SETTINGS = SearchSettings(divide=SIZES, conquer=SIZES)
NOISE = 0.02


def individual(text: str, ap: float | None = None) -> Formula:
    distiller = parse_distiller(text, GRAMMAR, bare=None)
    (term,) = distiller.terms
    formula = Formula(term.tree, term.knowledge, term.weight)
    formula.distiller = distiller
    if ap is not None:
        assign_fitness(formula, Score(ap))
    return formula


def truth(distiller) -> float:
    """What a distiller is worth: l2 is better than other distances, each weight best at 30."""
    gains = [
        (0.06 if "l2" in t.formula else 0.02) * np.exp(-0.5 * np.log10(t.weight / 30) ** 2) for t in distiller.terms
    ]
    return 0.2 + float(sum(gains))


def lucky(distiller, seed: int) -> Score:
    luck = random.Random(f"{distiller.text}/{seed}").gauss(0, NOISE)
    return Score(min(max(truth(distiller) + luck, 0.0), 1.0))


def direction(formula: str) -> tuple[float, ...]:
    return tuple(np.eye(DIRECTION)[sum(map(ord, formula)) % DIRECTION])


def told(guide: Believing) -> list[Formula]:
    scored = [individual(f"{w} * calibrated * l2(global)", 0.2 + w / 1000) for w in (1, 5, 10, 20, 50, 100, 150, 200)]
    guide.learn(scored)
    return scored


def test_scores_take_all_and_change_nothing():
    one = individual("l2(global)", 0.3)
    Guide().learn([one])
    assert one.fitness.values[0] == 0.3
    assert Guide().choose([Brood([], [one], 1)]) == [one]


def test_a_fitness_is_what_is_expected_and_the_ap_stays():
    guide = Believing(Belief(GRAMMAR, direction), random.Random(0))
    scored = told(guide)
    assert [one.ap for one in scored] == [0.2 + w / 1000 for w in (1, 5, 10, 20, 50, 100, 150, 200)]
    expected = guide.expected(scored)
    assert [one.fitness.values[0] for one in scored] == [expected[one.distiller.text][0] for one in scored]


def test_before_anything_is_believed_the_first_are_trained():
    guide = Believing(Belief(GRAMMAR, direction), random.Random(0))
    bred = [individual(f"{weight} * calibrated * l1(global)") for weight in (1, 2, 3)]
    assert guide.brood == 1
    assert guide.choose([Brood([], bred, 2)]) == bred[:2]


def test_a_guide_offers_as_many_as_it_is_told_once_it_believes():
    guide = Believing(Belief(GRAMMAR, direction), random.Random(0))
    told(guide)
    assert guide.brood > 1
    guide.offered = 1  # as an ablation does
    assert guide.brood == 1


def test_most_are_what_promises_most_but_no_knowledge_starves():
    guide = Believing(Belief(GRAMMAR, direction), random.Random(0))
    guide.learn(
        told(guide) + [individual(f"{w} * calibrated * l1(class_logits)", 0.1) for w in (1, 3, 10, 30, 100, 300)]
    )
    good = [individual(f"{weight} * calibrated * l2(global)") for weight in range(160, 200)]
    poor = [individual(f"{weight} * calibrated * l1(class_logits)") for weight in range(2, 42)]
    chosen = guide.choose([Brood([], good, 4), Brood([], poor, 4)])
    assert len(chosen) == len({one.distiller.text for one in chosen}) == 8
    assert 1 <= sum(one.niche == "class_logits" for one in chosen) <= 3
    for one in chosen:
        assign_fitness(one, Score(0.3))
    rows = guide.foreseen(chosen)["foreseen"]
    assert len(rows) == 8
    assert all(0 < ap < 1 and deviation > 0 and real == 0.3 for ap, deviation, real in rows)


def searched(strategy: type[DivideAndConquer], seed: int) -> DivideAndConquer:
    search = strategy(GRAMMAR, SETTINGS, seed, screen=lambda texts: [Finding(direction=direction(t)) for t in texts])
    while candidates := search.ask():
        search.tell([lucky(candidate.distiller, seed) for candidate in candidates])
    return search


def test_luck_does_not_survive():
    """What a belief expects of its best is nearer the truth than the APs that evolution keeps."""
    optimism: dict[type, list[float]] = {BeliefSearch: [], DivideAndConquer: []}
    for strategy, found in optimism.items():
        for seed in range(4):
            best = searched(strategy, seed).best
            found.append(best.fitness.values[0] - truth(best.distiller))
    assert fmean(optimism[DivideAndConquer]) > NOISE / 2
    assert abs(fmean(optimism[BeliefSearch])) < fmean(optimism[DivideAndConquer]) / 2


def test_it_repeats_and_tells_what_it_expects():
    one, two = searched(BeliefSearch, 3), searched(BeliefSearch, 3)
    assert [i.distiller.text for i in one.hall_of_fame] == [i.distiller.text for i in two.hall_of_fame]
    assert list(one.logbook) == list(two.logbook)
    assert isinstance(one, BeliefSearch)
    assert list(one.expected) == [individual.distiller.text for individual in one.hall_of_fame]
    foreseen = [row for record in one.logbook for row in record.get("foreseen", [])]
    inside = [abs(ap - real) < 2 * (deviation**2 + NOISE**2) ** 0.5 for ap, deviation, real in foreseen]
    assert len(inside) > 30
    assert fmean(inside) > 0.8
    assert one.counts["trained"] == searched(DivideAndConquer, 3).counts["trained"] == pytest.approx(90, abs=8)
