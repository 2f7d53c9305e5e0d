from __future__ import annotations

import pickle
from copy import deepcopy

import pytest

from detkds_gp.language import parse_distiller, to_text
from detkds_gp.primitives import OMNI
from detkds_gp.score import Score
from detkds_gp.search import Formula, Gene, Mix
from detkds_gp.search.individual import assign_fitness


def formula() -> Formula:
    distiller = parse_distiller("kl(softmax_row(class_logits, 2))", OMNI)
    made = Formula(distiller.terms[0].tree, "class_logits", 3.2, ("l2(global)",))
    made.distiller = distiller
    return made


def mix() -> Mix:
    made = Mix([Gene(0, 5.0), Gene()], ("l2(global)",))
    made.distiller = parse_distiller("5 * calibrated * l2(global)", OMNI)
    return made


@pytest.mark.parametrize("make", [formula, mix])
@pytest.mark.parametrize("copied", [deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("score", [None, Score(0.25), Score.failed("timeout")])
def test_copies_and_pickles_keep_everything(make, copied, score):
    one = make()
    if score:
        assign_fitness(one, score)
    two = copied(one)
    assert type(two) is type(one)
    assert two == one
    assert two is not one
    assert getattr(two, "weight", None) == getattr(one, "weight", None)
    assert (two.niche, two.parents, two.distiller.text) == (
        one.niche,
        one.parents,
        one.distiller.text,
    )
    assert two.fitness.values == one.fitness.values
    assert two.fitness.valid is bool(score and score.ok)
    two.fitness.values = (0.5, 1.0)
    assert one.fitness.values != (0.5, 1.0)


def test_fitness_is_ap_and_operations():
    one = formula()
    assign_fitness(one, Score(0.25))
    assert one.fitness.values == (0.25, 2.0)
    assert to_text(one) == "kl(softmax_row(class_logits, 2))"
