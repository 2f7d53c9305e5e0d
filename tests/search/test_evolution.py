from __future__ import annotations

from math import log10
from statistics import mean, stdev

import pytest

from detkds_gp.language import Distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.score import Score
from detkds_gp.screening import pass_all
from detkds_gp.search import SearchSettings, StageSettings, make_strategy, run_search

SEEDS = range(20)
OTHERS = [d.name for d in DETKDS.inputs if not {"global", "class_logits"} & set(d.niches)]
TWO = DETKDS.without(*OTHERS)
"""Two kinds of knowledge, so that the sum of what they are worth stays an AP."""
BLOCKS = ("kl(softmax_", "max_pool_2(", "spatial_attention(", "unit_", "standardize_")


def interactions(distiller: Distiller) -> Score:
    """Blocks help each other: k of them are worth k * k; best at weight 5; operations cost."""
    ap = 0.1
    for term in distiller.terms:
        count = sum(block in term.formula for block in BLOCKS)
        ap += 0.02 * count**2 * (1 - 0.2 * abs(log10(term.weight / 5)))
    return Score(ap - 0.001 * distiller.cost)


@pytest.mark.slow
def test_evolution_beats_random_search_at_equal_budget(each):
    def best_and_trained(strategy: str, seed: int) -> tuple[float, int]:
        settings = SearchSettings(
            strategy=strategy,
            divide=StageSettings(population=8, offspring=8, generations=8),
            conquer=StageSettings(population=6, offspring=6, generations=4),
        )
        search = make_strategy(TWO, settings, seed, pass_all)
        best = run_search(search, each(interactions))
        assert best is not None
        return best.fitness.values[0], search.counts["trained"]

    gains = []
    for seed in SEEDS:
        evolved, evolved_budget = best_and_trained("evolution", seed)
        drawn, drawn_budget = best_and_trained("random", seed)
        assert evolved_budget == drawn_budget
        gains.append(evolved - drawn)
    standard_error = stdev(gains) / len(gains) ** 0.5
    assert mean(gains) - 3 * standard_error > 0.04
