from __future__ import annotations

import random
import subprocess
import sys
from itertools import pairwise, product

import pytest
import torch
from deap import gp

from detkds_gp.errors import DeclarationError
from detkds_gp.language import Boxes, Constant, Loss, grow, make_term, parse_tree, ramped_half_and_half, to_text
from detkds_gp.language.contract import sample
from detkds_gp.losses.program import compile_tree, run
from detkds_gp.primitives import DETKDS, OMNI

SIZES = {"Map": (2, 4, 5, 3), "Field": (2, 4, 5, 3), "Boxes": (2, 4), "RowField": (2, 1)}
"""Of values by kind; rows come four to a box."""


def kind_name(declaration):
    return next(kind.__name__ for kind in declaration.result.__mro__ if kind.__name__ in (*SIZES, "Rows", "Units"))


def check_kinds(tree, primitive_set):
    """Walk the tree by recursion over the declarations' kinds, not over DEAP's nodes."""
    nodes = iter(tree)

    def walk(wanted, level):
        node = next(nodes)
        if isinstance(node, gp.Terminal) and isinstance(node.value, float):
            assert issubclass(node.ret, wanted)
            assert wanted.low <= node.value <= wanted.high
            return level
        declaration = primitive_set.declarations[node.name]
        assert issubclass(declaration.result, wanted)
        return max([walk(kind, level + 1) for kind in declaration.arguments], default=level)

    deepest = walk(Loss, 0)
    assert next(nodes, None) is None
    return deepest


def test_10000_trees_are_type_correct_and_no_deeper_than_asked(grown):
    assert len(grown) == 10_000
    deepest = [check_kinds(tree, primitive_set) for tree, primitive_set, _ in grown]
    assert all(deep <= depth for deep, (*_, depth) in zip(deepest, grown, strict=True))
    assert set(deepest) == set(range(1, 9))


def test_10000_trees_compile_to_one_instruction_a_distinct_subtree(grown):
    for tree, primitive_set, _ in grown:
        program = compile_tree(tree, primitive_set)
        assert program[-1].text == to_text(tree)
        assert all(slot < index for index, step in enumerate(program) for slot in step.arguments)


def test_a_sample_of_the_trees_computes_a_scalar_with_finite_gradient(grown):
    torch.manual_seed(0)
    of_one_niche = [(tree, primitive_set) for tree, primitive_set, _ in grown if len(primitive_set.niches) == 1]
    assert {niche for _, primitive_set in of_one_niche[::41] for niche in primitive_set.niches} == set(OMNI.niches)
    for tree, primitive_set in of_one_niche[::41]:
        inputs = {}
        for declaration in primitive_set.inputs:
            sides = [sample(declaration.result, SIZES.get(kind_name(declaration), (8, 3))) for _ in range(2)]
            inputs[declaration.name] = (sides[0].requires_grad_(), sides[1]) if declaration.result.sided else sides[0]
        loss = run(compile_tree(tree, primitive_set), inputs)
        assert loss.shape == (), to_text(tree)
        if loss.isfinite():
            students = [pair[0] for pair in inputs.values() if isinstance(pair, tuple)]
            gradients = torch.autograd.grad(loss, students, allow_unused=True)
            assert all(g is None or g.isfinite().all() for g in gradients), to_text(tree)


def test_every_primitive_and_every_constant_is_drawn(grown):
    for whole in (OMNI, DETKDS):
        mine = [tree for tree, s, _ in grown if s.name.startswith(whole.name)]
        drawn = {node.name for tree in mine for node in tree}
        expected = {
            name for d in whole.declarations.values() if d.name not in whole.known
            for name in (map(str, d.values) if isinstance(d, Constant) else [d.name])
        }  # fmt: skip
        assert drawn == expected


def test_full_trees_reach_the_depth_where_the_kinds_allow():
    rng = random.Random(1)
    depths = [grow(OMNI.niche("global"), rng, 6, full=True).height for _ in range(200)]
    assert sum(depth == 6 for depth in depths) > 100


def test_growing_reads_only_its_own_generator():
    random.seed(3)
    before = random.getstate()
    trees = [to_text(ramped_half_and_half(OMNI, random.Random(7), 1, 6)) for _ in range(3)]
    assert len(set(trees)) == 1
    assert random.getstate() == before


def test_a_second_process_grows_the_same_trees():
    program = (
        "import random; from detkds_gp.language import ramped_half_and_half as r, to_text\n"
        "from detkds_gp.primitives import OMNI\n"
        "rng = random.Random(5)\n"
        "print('\\n'.join(to_text(r(OMNI, rng, 1, 7)) for _ in range(50)))"
    )
    rng = random.Random(5)
    here = [to_text(ramped_half_and_half(OMNI, rng, 1, 7)) for _ in range(50)]
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.split("\n")[:-1] == here


@pytest.mark.parametrize("niche", OMNI.niches)
@pytest.mark.parametrize("whole", [OMNI, DETKDS], ids=lambda s: s.name)
def test_every_niche_grows_formulas_of_its_own_inputs_at_every_depth(whole, niche):
    rng = random.Random(2)
    for number in range(80):
        tree = ramped_half_and_half(whole.niche(niche), rng, 1, 1 + number % 8)
        assert make_term(tree, whole).knowledge == niche


@pytest.mark.parametrize("whole", [OMNI, DETKDS], ids=lambda s: s.name)
def test_overlaps_are_grown_of_boxes_only(grown, whole):
    overlaps, of_boxes = (
        {"iou", "giou", "weighted_iou", "weighted_giou"},
        {"boxes", "proposals", "query_boxes", "predicted_boxes"},
    )
    compared = {
        (node.name, following.name)
        for tree, primitive_set, _ in grown if primitive_set.name.startswith(whole.name)
        for node, following in pairwise(tree) if node.name in overlaps
    }  # fmt: skip
    assert compared == set(product(overlaps, of_boxes))


@pytest.mark.parametrize(("depth", "kind"), [(0, Loss), (3, Boxes)])
def test_what_cannot_be_grown_is_said(depth, kind):
    with pytest.raises(DeclarationError, match=rf"no {kind.__name__} of depth {depth}"):
        grow(OMNI.niche("global"), random.Random(0), depth, kind)


def test_a_depth_limit_below_the_lowest_tree_is_raised_to_it():
    assert ramped_half_and_half(DETKDS, random.Random(0), 0, 1).height == 1
    assert parse_tree("l2(global)", DETKDS).height == 1
