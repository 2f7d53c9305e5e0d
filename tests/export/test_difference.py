from __future__ import annotations

import random
from functools import cache

import networkx as nx
import pytest

from detkds_gp.errors import UserError
from detkds_gp.export import difference, to_networkx
from detkds_gp.export.difference import shared_nodes
from detkds_gp.export.graph import arguments_of
from detkds_gp.language import grow, parse_distiller, parse_tree
from detkds_gp.primitives import OMNI


def _graph(text: str) -> nx.DiGraph:
    return to_networkx(parse_distiller(text, OMNI), OMNI)


def _only(graph: nx.DiGraph) -> list[str]:
    return [row["label"] for _, row in graph.nodes(data=True) if row["only"]]


@pytest.mark.parametrize(
    ("first", "second", "only"),
    [
        ("l2(global)", "l2(global)", ([], [])),
        ("l2(relu(unit_channel(global)))", "l2(unit_channel(global))", (["relu"], [])),
        ("l2(global)", "l1(global)", (["l2"], ["l1"])),
        ("kl(softmax_row(class_logits, 2))", "kl(softmax_row(class_logits, 4))", (["2"], ["4"])),
        ("l2(global)", "l2(global) + l1(class_logits)", ([], ["class_logits", "l1"])),
        ("none", "l2(global)", ([], ["global", "l2"])),
        # Their canonical forms are one.
        ("add(l2(relu(global)), l1(global))", "add(l1(global), l2(relu(global)))", ([], [])),
    ],
)
def test_what_only_one_formula_has_is_marked(first, second, only):
    marked = difference(_graph(first), _graph(second))
    assert (_only(marked[0]), _only(marked[1])) == only


def test_a_changed_weight_is_marked_and_its_tree_is_not():
    texts = ("2 * 1 * l2(global) + l1(class_logits)", "1 * 1 * l2(global) + l1(class_logits)")
    for graph in difference(*map(_graph, texts)):
        assert _only(graph) == []
        assert [edge["reweighted"] for *_, edge in graph.in_edges(len(graph) - 1, data=True)] == [True, False]


def test_the_graphs_given_stay_as_they_were():
    graph = _graph("l2(global)")
    difference(graph, _graph("l1(global)"))
    assert "only" not in graph.nodes[0]


def _nested(graph: nx.DiGraph, node: int) -> tuple:
    key = (graph.nodes[node]["role"], graph.nodes[node]["label"])
    return key, tuple(_nested(graph, below) for below in arguments_of(graph, node))


@cache
def _most(one: tuple, two: tuple) -> int:
    """Most nodes that two ordered forests can share, by the recursion of the definition."""
    if not one or not two:
        return 0
    (key, below), (other, under) = one[-1], two[-1]
    best = max(_most(one[:-1] + below, two), _most(one, two[:-1] + under))
    if key == other:
        best = max(best, 1 + _most(below, under) + _most(one[:-1], two[:-1]))
    return best


@pytest.mark.parametrize("seed", range(30))
def test_no_alignment_shares_more_nodes(seed):
    rng = random.Random(seed)
    trees = [grow(OMNI.niche("global"), rng, rng.randint(2, 6), full=True) for _ in range(2)]
    one, two = (to_networkx(tree, OMNI, {}) for tree in trees)
    pairs = shared_nodes(one, two)
    assert len(pairs) == _most((_nested(one, len(one) - 1),), (_nested(two, len(two) - 1),))
    assert len(set(pairs.values())) == len(pairs)
    for a, b in pairs.items():
        assert one.nodes[a]["label"] == two.nodes[b]["label"]
        for c, d in pairs.items():
            assert nx.has_path(one, a, c) == nx.has_path(two, b, d)
            assert (a < c) == (b < d)


def test_large_trees_are_refused():
    chain = to_networkx(parse_tree(f"l2({'relu(' * 600}global{')' * 601}", OMNI), OMNI, {})
    with pytest.raises(UserError, match="602 nodes, wanted at most 500"):
        difference(chain, chain)
