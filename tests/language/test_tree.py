from __future__ import annotations

import pytest
import torch

from detkds_gp.language import canonical, cost, depth, fold, parse_tree, to_text
from detkds_gp.language.tree import number_text, subtrees
from detkds_gp.losses import DistillationLoss
from detkds_gp.losses.program import compile_tree
from detkds_gp.primitives import OMNI


def test_what_is_printed_reads_back_equal_for_10000_trees(grown):
    for tree, primitive_set, _ in grown:
        assert parse_tree(to_text(tree), primitive_set) == tree


def test_depth_is_deaps_height(grown):
    assert all(depth(tree) == tree.height for tree, *_ in grown[::17])


def deep(levels: int) -> str:
    """Nest functions of which none simplifies."""
    names = ("tanh", "swish")
    return "l2(" + "".join(f"{names[i % 2]}(" for i in range(levels - 2)) + "relu(global" + ")" * levels


def test_a_tree_of_depth_400_prints_parses_compiles_and_has_a_canonical_form():
    text = deep(400)
    tree = parse_tree(text, OMNI)
    assert depth(tree) == 400
    assert to_text(tree) == text
    assert to_text(canonical(tree, OMNI)) == text
    assert len(compile_tree(tree, OMNI)) == 401
    student = torch.randn(1, 2, 3, 3, requires_grad=True)
    total = DistillationLoss(text, OMNI)({"global": [(student, torch.randn(1, 2, 3, 3))]}).total
    total.backward()
    assert total.isfinite()
    assert student.grad is not None


def test_400_nested_sums_flatten():
    text = "l1(global)"
    for _ in range(399):
        text = f"add({text}, l2(global))"
    flat = to_text(canonical(parse_tree(text, OMNI), OMNI))
    assert flat.startswith("add(l1(global), add(l2(global), add(l2(global), ")
    assert flat.count("l2(global)") == 399


def test_fold_gives_every_node_its_arguments_in_order():
    tree = parse_tree("add(l1(relu(global)), scaled(l2(global), 2))", OMNI)
    nested = fold(tree, lambda node, below: (node.name, *below))
    assert nested == (
        "add", ("l1", ("relu", ("global",))), ("scaled", ("l2", ("global",)), ("2.0",)),
    )  # fmt: skip


def test_equal_subtrees_cost_once():
    tree = parse_tree("add(l1(relu(global)), l2(relu(global)))", OMNI)
    assert subtrees(tree) == [
        "global", "relu(global)", "l2(relu(global))", "l1(relu(global))", to_text(tree),
    ]  # fmt: skip
    assert cost(tree) == 4
    assert cost(parse_tree("scaled(l2(global), 3)", OMNI)) == 2


@pytest.mark.parametrize("value", [1.0, 0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 123456789.0])
def test_numbers_read_back_equal(value):
    assert float(number_text(value)) == value
    assert not number_text(value).endswith(".0")
