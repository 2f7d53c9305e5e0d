from __future__ import annotations

import ast
from dataclasses import replace

import networkx as nx
import pytest

from detkds_gp.export import FAMILIES, to_networkx
from detkds_gp.export.graph import sample_shapes, shape_text
from detkds_gp.language import Map, parse_distiller, parse_tree, to_text, transform
from detkds_gp.primitives import OMNI
from detkds_gp.screening import lint

SIDED = {"Map", "Rows", "Probs", "Units", "Boxes"}


def _walk(expression: ast.expr) -> tuple:
    """A formula as Python's own parser reads it: (word, kind, [arguments])."""
    if isinstance(expression, ast.Call):
        name = expression.func.id
        return name, OMNI.declarations[name].result.__name__, [_walk(a) for a in expression.args]
    if isinstance(expression, ast.Name):
        name = expression.id.rstrip("_")
        return name, OMNI.declarations[name].result.__name__, []
    return float(ast.literal_eval(expression)), None, []


def _read(graph: nx.DiGraph, node: int) -> tuple:
    attributes = graph.nodes[node]
    if attributes["role"] == "constant":
        return float(attributes["label"]), None, []
    edges = sorted(graph.in_edges(node, data=True), key=lambda edge: edge[2]["position"])
    assert [edge[2]["position"] for edge in edges] == list(range(len(edges)))
    return attributes["label"], attributes["kind"], [_read(graph, edge[0]) for edge in edges]


def test_graph_is_the_tree_that_an_independent_parser_reads(random_trees):
    for tree in random_trees:
        graph = to_networkx(tree, OMNI)
        assert list(graph) == list(range(len(tree)))
        assert nx.is_arborescence(graph.reverse())
        # `global` is a word of Python.
        text = to_text(tree).replace("global", "global_")
        assert _read(graph, len(tree) - 1) == _walk(ast.parse(text, mode="eval").body)


def test_nodes_are_numbered_after_their_arguments_in_reading_order():
    graph = to_networkx(parse_tree("kl(softmax_row(class_logits, 2))", OMNI), OMNI)
    labels = [graph.nodes[n]["label"] for n in graph]
    assert labels == ["class_logits", "2", "softmax_row", "kl"]
    assert list(graph.edges) == [(0, 2), (1, 2), (2, 3)]


def test_roles_and_sides(random_trees):
    for tree in random_trees:
        graph = to_networkx(tree, OMNI)
        for _, node in graph.nodes(data=True):
            assert node["sided"] == (node["kind"] in SIDED)
            if node["role"] != "constant":
                assert node["role"] == OMNI.declarations[node["label"]].role
        for argument, _, edge in graph.edges(data=True):
            assert edge["sided"] == graph.nodes[argument]["sided"]
            assert edge["kind"] == graph.nodes[argument]["kind"]


@pytest.mark.parametrize(
    ("text", "label", "edges"),
    [
        ("none", "none", []),
        ("2 * 0.037 * l2(global)", "loss", [(2.0, 0.037, "2 × 0.037")]),
        (
            "l2(global) + 0.5 * calibrated * l1(class_logits)",
            "+",
            [(1.0, 1.0, "1 × 1"), (0.5, None, "0.5 × calibrated")],
        ),
    ],
)
def test_the_root_weighs_the_terms(text, label, edges):
    graph = to_networkx(parse_distiller(text, OMNI), OMNI)
    root = len(graph) - 1
    assert (graph.nodes[root]["label"], graph.nodes[root]["role"]) == (label, "sum")
    found = [edge for *_, edge in graph.in_edges(root, data=True)]
    assert [(e["weight"], e["scale"], e["label"]) for e in found] == edges


def test_equal_subtrees_stay_separate():
    graph = to_networkx(parse_tree("add(l1(relu(global)), l2(relu(global)))", OMNI), OMNI)
    assert sum(node["label"] == "global" for _, node in graph.nodes(data=True)) == 2


def test_nodes_say_what_they_are_made_of():
    graph = to_networkx(parse_distiller("l2(weighted(global, disagreement(global)))", OMNI), OMNI)
    rows = {row["text"]: row for _, row in graph.nodes(data=True)}
    weighted = rows["weighted(global, disagreement(global))"]
    assert weighted["shape"] == (2, 8, 9, 11)
    assert weighted["knowledge"] == "global"
    assert weighted["latex"] == OMNI.declarations["weighted"].latex
    assert weighted["doc"] == OMNI.declarations["weighted"].doc
    families = {text: row["family"] for text, row in rows.items()}
    assert families == {
        "global": "knowledge",
        "disagreement(global)": "field",
        "weighted(global, disagreement(global))": "field",
        "l2(weighted(global, disagreement(global)))": "distance",
        "1 * 1 * l2(weighted(global, disagreement(global)))": "combiner",
    }


def test_every_subtree_is_text_that_reads_back(random_trees):
    for tree in random_trees[::10]:
        graph = to_networkx(tree, OMNI)
        assert graph.nodes[len(tree) - 1]["text"] == to_text(tree)
        for argument, consumer in graph.edges:
            assert graph.nodes[argument]["text"] in graph.nodes[consumer]["text"]
        assert {row["family"] for _, row in graph.nodes(data=True)} <= set(FAMILIES)


def test_knowledge_lists_the_inputs_beneath():
    text = "add(l1(global), kl(softmax_channel(weighted(class_map, disagreement(global)), 2)))"
    graph = to_networkx(parse_tree(text, OMNI), OMNI)
    found = {row["label"]: row["knowledge"] for _, row in graph.nodes(data=True)}
    assert (found["2"], found["l1"], found["kl"], found["add"]) == (
        "", "global", "class_map, global", "global, class_map",
    )  # fmt: skip


def test_given_shapes_replace_all_sampled_ones():
    tree = parse_tree("l2(relu(global))", OMNI)
    graph = to_networkx(tree, OMNI, {"relu(global)": [1, 2, 3, 4]})
    assert [shape for _, shape in graph.nodes(data="shape")] == [None, (1, 2, 3, 4), None]
    assert [shape for *_, shape in graph.edges(data="shape")] == [None, (1, 2, 3, 4)]


def test_a_learned_primitive_is_a_family_of_its_own():
    graph = to_networkx(parse_tree("l2_sum(global_context(masked_generation(global, 0.35)))", OMNI), OMNI)
    rows = {row["label"]: row for _, row in graph.nodes(data=True)}
    for name in ("global_context", "masked_generation"):
        assert (rows[name]["role"], rows[name]["family"], rows[name]["sided"]) == ("learned", "learned", True)
        assert rows[name]["shape"] == (2, 8, 9, 11)
    assert rows["global"]["family"] == "knowledge"


@pytest.mark.slow
def test_shapes_are_those_that_lint_reports(random_distillers):
    for distiller in random_distillers:
        trees = [term.tree for term in distiller.terms]
        report = lint(distiller.text, OMNI)
        assert sample_shapes(trees, OMNI) == {step.text: step.shape for step in report.steps}


def test_numbers_have_no_shape():
    shapes = sample_shapes([parse_tree("kl(softmax_row(class_logits, 2))", OMNI)], OMNI)
    assert shapes == {
        "class_logits": (198, 8),
        "softmax_row(class_logits, 2)": (198, 8),
        "kl(softmax_row(class_logits, 2))": (),
    }


@transform(Map, Map, shape="n c h w -> n c h w/2", latex="P(#1)")
def picky(x):
    """Halve maps of at most seven columns."""
    if x.shape[-1] > 7:
        raise ValueError("too wide")
    return x[..., ::2]


def test_what_cannot_be_computed_has_the_shape_that_it_declares():
    tree = parse_tree("l2(relu(picky(global)))", OMNI.extended("PICKY", picky))
    assert sample_shapes([tree], OMNI.extended("PICKY", picky)) == {
        "global": (2, 8, 9, 11),
        "picky(global)": (2, 8, 9, 6),
        "relu(picky(global))": (2, 8, 9, 6),
        "l2(relu(picky(global)))": (),
    }


def test_what_no_declared_shape_fits_has_none_and_spoils_no_other():
    declared = OMNI.declarations["relu"]
    misfit = replace(declared, name="misfit", shape="m d -> m d")
    own = OMNI.extended("MISFIT", misfit)
    trees = [parse_tree(f"l2({name}(global))", own) for name in ("misfit", "relu")]
    assert set(sample_shapes(trees, own)) == {"global", "l2(misfit(global))", "relu(global)", "l2(relu(global))"}


def test_drawing_random_masks_leaves_the_generator_alone():
    import torch

    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    sample_shapes([parse_tree("l2(shared_mask(global, 0.5))", OMNI)], OMNI)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("shape", "text"), [((2, 8, 9, 11), "2×8×9×11"), ((198, 8), "198×8"), ((), "()"), (None, "")])
def test_shape_text(shape, text):
    assert shape_text(shape) == text
