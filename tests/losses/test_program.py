from __future__ import annotations

import weakref

import pytest
import torch

from detkds_gp.language import Map, PrimitiveSet, parse_tree, transform
from detkds_gp.losses.program import compile_tree, run
from detkds_gp.primitives import OMNI, distances, inputs

ALIVE: list[int] = []
MADE: list[weakref.ref] = []


@transform(Map, Map, shape="n c h w -> n c h w", latex="#1")
def watched(x):
    """Note how many earlier results still live."""
    ALIVE.append(sum(ref() is not None for ref in MADE))
    result = x + 1
    MADE.append(weakref.ref(result))
    return result


def test_a_tree_becomes_one_instruction_a_distinct_subtree():
    tree = parse_tree("add(l1(relu(global)), add(l2(relu(global)), l1(relu(global))))", OMNI)
    assert [step.text for step in compile_tree(tree, OMNI)] == [
        "global", "relu(global)", "l1(relu(global))", "l2(relu(global))",
        "add(l2(relu(global)), l1(relu(global)))",
        "add(l1(relu(global)), add(l2(relu(global)), l1(relu(global))))",
    ]  # fmt: skip


def test_equal_numbers_of_different_kinds_stay_apart():
    tree = parse_tree("scaled(kl(softmax_space(shared_mask(global, 0.5), 0.5)), 0.5)", OMNI)
    assert [step.text for step in compile_tree(tree, OMNI)].count("0.5") == 3


def test_values_are_freed_after_their_last_use():
    primitive_set = PrimitiveSet("WATCHED", [inputs.global_, watched, distances.l2])
    tree = parse_tree("l2(watched(watched(watched(watched(global)))))", primitive_set)
    ALIVE.clear(), MADE.clear()
    x = torch.zeros(1, 1, 2, 2)
    run(compile_tree(tree, primitive_set), {"global": (x, x)})
    assert max(ALIVE) <= 3
    assert not any(ref() is not None for ref in MADE)


@pytest.mark.parametrize("role", ["transform", "pair_transform", "distance"])
def test_sides_are_handed_on_as_the_role_says(role):
    student, teacher = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    text, expected = {
        "transform": ("l2(relu(global))", (student.relu() - teacher.relu()).square().mean()),
        "pair_transform": (
            "l2(weighted(global, disagreement(global)))",
            ((student - teacher).abs().mean(1, True) * (student - teacher).square()).mean(),
        ),
        "distance": ("l1(global)", (student - teacher).abs().mean()),
    }[role]
    loss = run(compile_tree(parse_tree(text, OMNI), OMNI), {"global": (student, teacher)})
    assert torch.allclose(loss, expected)
