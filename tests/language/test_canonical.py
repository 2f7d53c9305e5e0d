from __future__ import annotations

import math
import random
from itertools import permutations

import pytest
import torch
from deap import gp

from detkds_gp.language import (
    Algebra,
    Map,
    PrimitiveSet,
    Ratio,
    canonical,
    make_term,
    parse_tree,
    to_text,
    transform,
)  # fmt: skip
from detkds_gp.language.samples import sample_knowledge
from detkds_gp.losses.program import compile_tree, run
from detkds_gp.primitives import DETKDS, OMNI, combiners, distances, inputs


def form(text: str) -> str:
    return to_text(canonical(parse_tree(text, OMNI), OMNI))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add(l2(global), l1(global))", "add(l1(global), l2(global))"),
        ("l1(relu(relu(relu(global))))", "l1(relu(global))"),
        ("l1(unit_row(unit_row(class_logits)))", "l1(unit_row(class_logits))"),
        ("l1(tanh(tanh(global)))", "l1(tanh(tanh(global)))"),
        ("l1(relu(absolute(relu(global))))", "l1(relu(absolute(relu(global))))"),
        ("scaled(l1(global), 1)", "l1(global)"),
        ("scaled(scaled(l1(global), 0.1), 0.2)", "scaled(l1(global), 0.02)"),
        ("scaled(scaled(l1(global), 0.5), 2)", "l1(global)"),
        ("scaled(scaled(l1(global), 1000), 10)", "scaled(scaled(l1(global), 1000), 10)"),
        ("scaled(scaled(l1(global), 10), 1000)", "scaled(scaled(l1(global), 1000), 10)"),
        ("scaled(scaled(scaled(l1(global), 1000), 10), 0.001)", "scaled(l1(global), 10)"),
        ("scaled(scaled(l1(global), 0.001), 0.1)", "scaled(scaled(l1(global), 0.001), 0.1)"),
        ("scaled(add(scaled(l2(global), 1), l1(global)), 1)", "add(l1(global), l2(global))"),
        ("kl(softmax_space(global, 1.000))", "kl(softmax_space(global, 1))"),
    ],
)
def test_algebra(text, expected):
    assert form(text) == expected


def test_order_and_nesting_of_a_sum_do_not_matter():
    leaves = ["l1(global)", "l2(global)", "cosine(global)", "l2(relu(global))"]
    forms = set()
    for a, b, c, d in permutations(leaves):
        forms.add(form(f"add({a}, add({b}, add({c}, {d})))"))
        forms.add(form(f"add(add(add({a}, {b}), {c}), {d})"))
        forms.add(form(f"add(add({a}, {b}), add({c}, {d}))"))
    expected = "add(cosine(global), add(l1(global), add(l2(global), l2(relu(global)))))"
    assert forms == {expected}


def test_the_order_of_factors_does_not_matter():
    rng = random.Random(0)
    grid = OMNI.declarations["factor"].values
    for _ in range(200):
        factors = [rng.choice((*grid, 1000.0, 0.001, 0.3, 7.0)) for _ in range(5)]
        forms = set()
        for _ in range(4):
            rng.shuffle(factors)
            text = "l1(global)"
            for factor in factors:
                text = f"scaled({text}, {factor})"
            forms.add(form(f"add({text}, l2(global))"))
        assert len(forms) == 1


def test_factors_that_overflow_stay_as_they_are():
    text = "l1(global)"
    for _ in range(400):
        text = f"scaled({text}, 1000)"
    once = form(text)
    assert form(once) == once


def test_it_is_idempotent_and_type_correct_for_10000_trees(grown):
    for tree, primitive_set, _ in grown:
        once = canonical(tree, primitive_set)
        text = to_text(once)
        assert parse_tree(text, primitive_set) == once
        assert to_text(canonical(once, primitive_set)) == text


def shuffled(tree: gp.PrimitiveTree, rng: random.Random) -> gp.PrimitiveTree:
    """Swap the arguments of sums, double idempotent calls, multiply by 1, all at random."""

    def spell(index: int) -> tuple[list, int]:
        node, end, arguments = tree[index], index + 1, []
        for _ in range(node.arity):
            argument, end = spell(end)
            arguments.append(argument)
        if node.name == "add" and rng.random() < 0.5:
            arguments.reverse()
        nodes = [node, *(inner for argument in arguments for inner in argument)]
        if node.name in ("relu", "absolute", "unit_channel") and rng.random() < 0.5:
            nodes.insert(0, node)
        if node.name in ("l1", "add") and rng.random() < 0.5:
            scaled = OMNI.mapping["scaled"]
            nodes = [scaled, *nodes, gp.Terminal(1.0, False, scaled.args[1])]
        return nodes, end

    return gp.PrimitiveTree(spell(0)[0])


def test_other_spellings_of_one_formula_share_its_form(many):
    rng = random.Random(0)
    omni = [tree for tree, primitive_set, _ in many if primitive_set.name.startswith("OMNI")][:2400]
    different = 0
    for tree in omni:
        other = shuffled(tree, rng)
        different += to_text(other) != to_text(tree)
        assert to_text(canonical(other, OMNI)) == to_text(canonical(tree, OMNI))
    assert different > 300


def test_the_canonical_tree_computes_the_same_loss(many):
    torch.manual_seed(0)
    rng = random.Random(1)
    sided = {name: OMNI.declarations[name].result.sided for name in sample_knowledge(OMNI.inputs)}
    samples = sample_knowledge(OMNI.inputs).items()
    knowledge = {name: pairs[0] if sided[name] else pairs[0][1] for name, pairs in samples}
    checked = 0
    for tree in (tree for tree, primitive_set, _ in many if primitive_set.name.startswith("OMNI[")):
        other = shuffled(tree, rng)
        simple = canonical(other, OMNI)
        if simple == other or any("shared_" in node.name for node in tree):
            continue
        with torch.no_grad():
            values = [run(compile_tree(each, OMNI), knowledge).item() for each in (other, simple)]
        if math.isfinite(values[0]):
            checked += 1
            assert values[1] == pytest.approx(values[0], rel=1e-4, abs=1e-7), to_text(tree)
    assert checked > 700


def test_a_factor_at_the_root_goes_into_the_scale():
    tree = parse_tree("scaled(scaled(l2(global), 4), 5)", OMNI)
    assert make_term(tree, OMNI, weight=2, scale=0.1).text == "2 * 2 * l2(global)"
    assert make_term(tree, OMNI, weight=2).text == "2 * calibrated * l2(global)"


@transform((Map, Ratio), Map, shape="n c h w -> n c h w", latex="#1_{#2}", algebra=Algebra(idempotent=True))
def capped(x, limit):
    """Clip at a limit."""
    return x.clamp(-limit, limit)


def test_an_idempotent_call_is_dropped_only_beside_its_equal():
    capping = PrimitiveSet("CAPPING", [inputs.global_, capped, combiners.ratio, distances.l2])
    for text, expected in [
        ("l2(capped(capped(global, 0.5), 0.5))", "l2(capped(global, 0.5))"),
        ("l2(capped(capped(global, 0.5), 0.1))", "l2(capped(capped(global, 0.5), 0.1))"),
    ]:
        assert to_text(canonical(parse_tree(text, capping), capping)) == expected


def test_a_set_without_algebra_keeps_its_trees():
    text = "l1(relu(channel_attention(global, 0.5)))"
    assert to_text(canonical(parse_tree(text, DETKDS), DETKDS)) == text
