from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from deap import gp

from detkds_gp.language import (
    PrimitiveSet,
    Temperature,
    depth,
    parse_tree,
    ramped_half_and_half,
    to_text,
)
from detkds_gp.language.tree import is_constant, node_text, number_text
from detkds_gp.primitives import DETKDS, OMNI, distances, inputs
from detkds_gp.search.variation import (
    MUTATIONS,
    crossover,
    mutate_constant,
    mutate_insert,
    mutate_point,
    mutate_shrink,
    mutate_subtree,
)

GRAMMARS = [whole.niche(niche) for whole in (OMNI, DETKDS) for niche in whole.niches]
DRAWS = 500
BOXES, CHAINS = ("localization", "proposals"), ("DETKDS[queries]", "DETKDS[predictions]")
"""Grammars of boxes, and chains of rows beside boxes: many of their trees are one distance of one input, which leaves
little to vary."""


def varies_little(grammar: PrimitiveSet) -> bool:
    return grammar.niches[0] in BOXES or grammar.name in CHAINS


def draws(grammar: PrimitiveSet) -> list[gp.PrimitiveTree]:
    rng = random.Random(1)
    return [ramped_half_and_half(grammar, rng, 1, 6) for _ in range(DRAWS)]


def is_formula(nodes: list, grammar: PrimitiveSet) -> bool:
    """Whether the parser, which checks every kind and range, reads the printed nodes back."""
    text = to_text(nodes)
    return to_text(parse_tree(text, grammar)) == text


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_crossover_exchanges_subtrees_and_leaves_its_parents(grammar):
    rng, trees, exchanged = random.Random(2), draws(grammar), 0
    for first, second in zip(trees, reversed(trees), strict=True):
        before = to_text(first), to_text(second)
        a, b = crossover(first, second, rng)
        assert (to_text(first), to_text(second)) == before
        assert is_formula(a, grammar)
        assert is_formula(b, grammar)
        words = Counter(map(node_text, [*a, *b]))
        assert words == Counter(map(node_text, [*first, *second]))
        exchanged += {to_text(a), to_text(b)} != set(before)
    assert exchanged > DRAWS * (0.04 if grammar.niches[0] in BOXES else 0.15 if varies_little(grammar) else 0.4)


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
@pytest.mark.parametrize("operator", MUTATIONS)
def test_mutations_are_formulas_and_leave_their_parent(operator, grammar):
    rng, changed = random.Random(3), 0
    for tree in draws(grammar):
        before = to_text(tree)
        nodes = operator(tree, rng, grammar)
        assert to_text(tree) == before
        assert is_formula(nodes, grammar)
        changed += to_text(nodes) != before
    assert changed > DRAWS / (8 if varies_little(grammar) else 4)


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_point_mutation_changes_at_most_one_word_and_keeps_the_shape(grammar):
    rng = random.Random(4)
    for tree in draws(grammar):
        nodes = mutate_point(tree, rng, grammar)
        assert [node.arity for node in nodes] == [node.arity for node in tree]
        assert sum(map(lambda a, b: node_text(a) != node_text(b), nodes, tree)) <= 1


def test_subtree_mutation_never_grows_beyond_its_depth():
    rng, grammar = random.Random(5), OMNI.niche("global")
    for tree in draws(grammar):
        nodes = mutate_subtree(tree, rng, grammar, depth=2)
        assert depth(nodes) <= depth(tree) + 2


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_insertion_only_adds_and_shrinking_only_removes_words(grammar):
    rng = random.Random(8)
    for tree in draws(grammar):
        words = Counter(map(node_text, tree))
        more = Counter(map(node_text, mutate_insert(tree, rng, grammar)))
        less = Counter(map(node_text, mutate_shrink(tree, rng, grammar)))
        assert words <= more
        assert less <= words


def test_one_insertion_and_one_shrinking_written_out():
    names = ("global", "relu", "tanh", "l1", "spatial_attention", "temperature", "add")
    grammar = PrimitiveSet("FEW", [OMNI.declarations[name] for name in names])
    tree = parse_tree("l1(relu(global))", grammar)
    inserted = {to_text(mutate_insert(tree, random.Random(i), grammar)) for i in range(600)}
    unary = {f"l1({text})" for word in ("relu", "tanh") for text in (f"{word}(relu(global))", f"relu({word}(global))")}
    added = {"add(l1(relu(global)), l1(global))", "add(l1(global), l1(relu(global)))"}
    numbers = [t.value for t in grammar.terminals[Temperature]]
    attended = {
        f"l1({text})"
        for t in map(number_text, numbers)
        for text in (
            f"spatial_attention(relu(global), {t})",
            f"relu(spatial_attention(global, {t}))",
        )
    }
    assert inserted == unary | added | attended
    assert {to_text(mutate_shrink(tree, random.Random(i), grammar)) for i in range(20)} == {"l1(global)"}


def test_constant_mutation_moves_to_a_neighbour_on_the_grid():
    grid = next(d for d in OMNI.declarations.values() if d.name == "temperature").values
    tree = parse_tree(f"kl(softmax_row(class_logits, {grid[1]}))", OMNI)
    rng, seen = random.Random(6), set()
    for _ in range(50):
        (number,) = filter(is_constant, mutate_constant(tree, rng, OMNI))
        seen.add(number.value)
    assert seen == {sorted(grid)[0], sorted(grid)[2]}
    folded = parse_tree("kl(softmax_row(class_logits, 99))", OMNI)
    (number,) = filter(is_constant, mutate_constant(folded, rng, OMNI))
    assert number.value == max(grid)


def test_where_nothing_fits_the_parents_come_back():
    grammar = PrimitiveSet("ONE", [inputs.global_, distances.l1])
    tree = parse_tree("l1(global)", grammar)
    for seed in range(20):
        children = crossover(tree, tree, random.Random(seed))
        assert [to_text(child) for child in children] == ["l1(global)"] * 2
        assert to_text(mutate_point(tree, random.Random(seed), grammar)) == "l1(global)"
        assert to_text(mutate_constant(tree, random.Random(seed), grammar)) == "l1(global)"


def test_the_order_of_a_cascade_survives_variation():
    """In DETKDS attention comes before pooling, pooling before a norm; no child may undo that."""
    rng, grammar = random.Random(7), DETKDS.niche("global")
    slots = {"spatial_attention": 0, "max_pool_2": 1, "unit_channel": 2}
    trees = draws(grammar)
    for first, second in pairwise(trees):
        for child in crossover(first, second, rng):
            outside_in = [slots[node.name] for node in child if node.name in slots]
            assert outside_in == sorted(outside_in, reverse=True)
