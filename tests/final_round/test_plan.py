from __future__ import annotations

import json
from typing import Any

import pytest

from detkds_gp.config import ExperimentConfig, parse_config
from detkds_gp.final_round import FinalRound, Rival, finalists, plan_final_round, tuning_trainings
from detkds_gp.language import PrimitiveSet
from detkds_gp.primitives import distances, inputs
from detkds_gp.results import Finalist
from detkds_gp.search import DivideAndConquer, Generation, StageSettings

RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"


def config(**verdict: Any) -> ExperimentConfig:
    """A search of 400 trainings of 100 iterations, beside them 3 of the student and 700 steps of the teacher."""
    sizes = {"population": 20, "offspring": 20, "generations": 8}
    return parse_config(
        {
            "student": {"config": RETINANET},
            "teacher": {"config": RETINANET, "train": {"iterations": 700}},
            "data": {"digits": {"root": "digits"}},
            "proxy": {"iterations": 100},
            "search": {"divide": sizes, "conquer": {**sizes, "population": 20, "generations": 1}},
            "verdict": verdict,
        }
    )


def generations(asked: ExperimentConfig) -> list[Generation]:
    """What a search of two knowledges plans."""
    return DivideAndConquer(
        PrimitiveSet("TWO", [inputs.global_, inputs.class_logits, distances.l2]), asked.search
    ).plan()


def planned(asked: ExperimentConfig) -> FinalRound:
    return plan_final_round(asked, generations(asked))


OTHERS = (2 * 180 + 40) * 100 + 4 * 12 * 100 + 300 + 700  # steps of everything but the final round


def test_what_is_wished_for_is_planned_where_it_fits() -> None:
    final = planned(config(iterations=400, finalists=3))
    # three leaders, two knowledges, three published rivals at two weights each, one without such a weight, the mix
    assert (len(final.seeds), final.iterations, final.places, final.reduced) == (4, 400, 13, "")


@pytest.mark.parametrize("share", [0.4, 0.3, 0.2, 0.1, 0.05])
def test_the_final_round_stays_within_its_share(share: float) -> None:
    wished = config(iterations=400, share=share, seeds=tuple(range(1000, 1008)))
    final = planned(wished)
    steps = (final.places + 1) * len(final.seeds) * final.iterations
    assert steps / (steps + OTHERS) <= share
    assert final.iterations >= 100
    assert len(final.seeds) >= 3


def test_it_loses_seeds_then_formulas_and_gets_shorter_only_where_rivals_would_go() -> None:
    shares = [share / 100 for share in range(50, 2, -1)]
    plans = [planned(config(iterations=400, share=share)) for share in shares]
    lengths = [plan.iterations for plan in plans]
    assert lengths == sorted(lengths, reverse=True)
    for share, plan in zip(shares, plans, strict=True):
        if plan.places < plans[0].places:
            assert len(plan.seeds) == 3
        if plan.places < 1 + 4:
            assert plan.iterations == 100
        if plan.iterations < 400:  # the student alone, the leader and all four rivals would have been longer at work
            longer = {250: 400, 100: 250}[plan.iterations]
            assert (1 + 1 + 4) * 3 * longer > share / (1 - share) * OTHERS


def test_leader_and_student_are_judged_whatever_it_takes() -> None:
    final = planned(config(iterations=400, share=0.001))
    assert (final.places, len(final.seeds), final.iterations) == (1, 3, 100)
    assert final.reduced == (
        "the final round has 100 iterations instead of 400, 3 seeds instead of 4, 1 formulas instead of 12: "
        "1% of all training"
    )


def test_a_verdict_shorter_than_the_proxy_stays_as_it_is() -> None:
    assert planned(config(iterations=50)).iterations == 50


def test_everyone_is_judged_once_in_the_order_of_importance() -> None:
    rivals = [
        Rival(
            Finalist("P25", "PKD", "paper's weight", 79.0), Finalist("P", "PKD", "tuned to 130, 12 trainings", 130.0)
        ),
        Rival(Finalist("M", "mimic", "paper's weight", 12.0)),
        Rival(None, Finalist("L", "logits", "tuned to 2, 12 trainings", 2.0)),
    ]
    champions = {"global": "A", "class_logits": "C"}
    ranking = ["A", "B", "M", "C"]
    chosen = finalists(ranking, champions, rivals, places=9)
    assert [(f.role, f.text, f.weighed) for f in chosen] == [
        ("leader", "A", ""),
        ("PKD", "P", "tuned to 130, 12 trainings"),
        ("mimic", "M", "paper's weight"),
        ("logits", "L", "tuned to 2, 12 trainings"),
        ("best of class_logits", "C", ""),
        ("PKD", "P25", "paper's weight"),
        ("contender", "B", ""),
    ]
    assert [f.role for f in finalists(ranking, champions, rivals, places=3)] == ["leader", "PKD", "mimic"]
    recorded = json.loads(json.dumps(FinalRound((1, 2), 100, 9).to_json(chosen)))["finalists"]
    assert [Finalist(**values) for values in recorded] == chosen


@pytest.mark.parametrize(("tuning", "each"), [(None, 12), (0, 0), (30, 30)])
def test_every_rival_is_tuned_by_as_many_trainings(tuning: int | None, each: int) -> None:
    asked = config(tuning=tuning)
    assert tuning_trainings(generations(asked), asked.verdict) == 4 * each


def test_a_niche_of_few_trainings_gives_rivals_no_more() -> None:
    sizes = StageSettings(population=3, offspring=2, generations=1)
    small = config().model_copy(update={"search": config().search.model_copy(update={"divide": sizes})})
    assert tuning_trainings(generations(small), small.verdict) == 4 * 5
