"""A set as plain values reads, canonises, prints and draws formulas as the set itself does."""

from __future__ import annotations

import json
import random

import pytest
import torch

from detkds_gp.export import to_latex, to_networkx
from detkds_gp.language import Factor, Loss, combiner, distance, grow, make_term, parse_distiller, to_text
from detkds_gp.language.recorded import grammar_from_json, grammar_to_json
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.primitives.inputs import global_


def through_json(primitive_set):
    return grammar_from_json(json.loads(json.dumps(grammar_to_json(primitive_set))))


@pytest.fixture(params=[DETKDS, OMNI], ids=lambda s: s.name)
def pair(request):
    return request.param, through_json(request.param)


def test_formulas_have_the_same_canonical_text_and_looks(pair):
    original, recorded = pair
    rng = random.Random(1)
    for number in range(100):
        niche = original.niche(original.niches[number % len(original.niches)])
        text = to_text(grow(niche, rng, 2 + number % 5))
        ours, theirs = (parse_distiller(f"2 * calibrated * {text}", s) for s in pair)
        assert ours.text == theirs.text
        assert ours.cost == theirs.cost
        assert to_latex(ours, original) == to_latex(theirs, recorded)
        drawn = [to_networkx(d, s) for d, s in ((ours, original), (theirs, recorded))]
        assert dict(drawn[0].nodes(data=True)) == dict(drawn[1].nodes(data=True))


def test_growth_draws_the_same(pair):
    drawn = [[to_text(grow(s, random.Random(seed), 5)) for seed in range(20)] for s in pair]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("text", ["l2(globl)", "kl(global)", "l2(global, 3)", "l2(global) + l1(global)", "2 * none"])
def test_a_broken_formula_is_refused_in_the_same_words(pair, text):
    told = []
    for primitive_set in pair:
        with pytest.raises(Exception) as error:  # noqa: PT011 - the words are compared
            parse_distiller(text, primitive_set)
        told.append(str(error.value))
    assert told[0] == told[1]


def test_what_is_called_is_imported_and_computes_the_same(pair):
    knowledge = {"global": [(torch.ones(1, 2, 3, 3, requires_grad=True), torch.zeros(1, 2, 3, 3))]}
    totals = [DistillationLoss("l2(unit_channel(global))", s)(knowledge).total for s in pair]
    assert torch.equal(*totals)
    assert pair[0].fingerprint() == pair[1].fingerprint()


def test_own_kinds_and_names_travel():
    class Gentle(Factor):
        """A factor near 1."""

        low, high = 0.5, 2.0

    @distance(global_.result, latex="d(#1)")
    def gap(student, teacher):
        """Compare means."""
        return (student.mean() - teacher.mean()).square() if student.numel() else student.sum()

    @combiner((Loss, Gentle), latex="#1 #2")
    def eased(loss, factor):
        """Multiply gently."""
        return loss * factor

    own = OMNI.extended("OWN", gap, known=[eased])
    recorded = through_json(own)
    assert recorded.known == own.known
    assert recorded.declarations["eased"].arguments[1].high == 2.0
    assert make_term(parse_distiller("eased(gap(global), 2)", recorded).terms[0].tree, recorded).knowledge == "global"
    with pytest.raises(Exception, match=r"Gentle is 3, wanted 0.5 to 2"):
        parse_distiller("eased(gap(global), 3)", recorded)
