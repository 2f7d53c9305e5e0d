from __future__ import annotations

import re
import shutil
import sys
from itertools import combinations

import pytest

from detkds_gp.errors import UserError
from detkds_gp.export import to_networkx
from detkds_gp.export.boxes import LABEL_SIZE, NAME_SIZE, boxes
from detkds_gp.export.fonts import text_width
from detkds_gp.export.plan import LABEL_FOOT, SIDE, Placed, Plan, plan
from detkds_gp.language import parse_tree, to_text
from detkds_gp.primitives import OMNI

EDGE = 0.001
GRAPHVIZ = pytest.param(
    "graphviz", marks=pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
)
Extent = tuple[float, float, float, float]


def _extents(placed: Placed) -> list[Extent]:
    """What a box and the label above it cover: left, top, right, bottom."""
    box, x = placed.box, placed.x
    label = (box.label_width / 2, placed.y - LABEL_FOOT - box.label_height, placed.y - LABEL_FOOT)
    found = [(x - box.width / 2, placed.y, x + box.width / 2, placed.bottom)]
    return [*found, (x - label[0], label[1], x + label[0], label[2])] if box.passed else found


def _overlap(a: Extent, b: Extent) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _planned(trees, layout) -> list[tuple[str, Plan]]:
    chosen = trees if layout == "layered" else trees[::20]
    return [(to_text(tree), plan(boxes(to_networkx(tree, OMNI)), layout)) for tree in chosen]


@pytest.mark.parametrize("layout", ["layered", GRAPHVIZ])
def test_no_boxes_or_labels_overlap_and_every_text_fits(random_trees, layout):
    for text, planned in _planned(random_trees, layout):
        extents = [extent for placed in planned.boxes for extent in _extents(placed)]
        for a, b in combinations(extents, 2):
            assert not _overlap(a, b), text
        for left, top, right, bottom in extents:
            assert -EDGE < left < right < planned.width + EDGE
            assert -EDGE < top < bottom < planned.height + EDGE
        for placed in planned.boxes:
            assert max(text_width(line, NAME_SIZE) for line in placed.box.lines) < placed.box.width
            assert all(text_width(line, LABEL_SIZE) <= placed.box.label_width for line in placed.box.passed)


@pytest.mark.parametrize("layout", ["layered", GRAPHVIZ])
def test_lines_run_upwards_and_only_through_their_own_label(random_trees, layout):
    for text, planned in _planned(random_trees[::4], layout):
        assert len(planned.wires) == len(planned.boxes) - 1
        for wire in planned.wires:
            others = [e for i, p in enumerate(planned.boxes) if i != wire.start for e in _extents(p)]
            for x, y in wire.points[1:-1]:
                line = (x - SIDE, y, x + SIDE, y + EDGE)
                assert not any(_overlap(line, extent) for extent in others), text
            heights = [y for _, y in wire.points]
            assert heights == sorted(heights, reverse=True)
            start, end = planned.boxes[wire.start], planned.boxes[wire.end]
            assert wire.points[0] == (start.x, start.y)
            assert wire.points[-1][1] == end.bottom
            assert abs(wire.points[-1][0] - end.x) < end.box.width / 2


def test_every_node_has_its_box_with_its_kind_and_shape(random_trees):
    for tree in random_trees[::10]:
        graph = to_networkx(tree, OMNI)
        drawn = boxes(graph)
        assert sorted(box.name for box in drawn) == sorted(re.findall(r"[\w.]+", to_text(tree)))
        for box, row in zip(drawn[:-1], list(graph.nodes.values())[:-1], strict=True):
            shape = "" if row["shape"] is None else "×".join(map(str, row["shape"])) or "()"
            assert " ".join(box.passed) == f"{row['kind']} {shape}".strip()
        assert drawn[-1].passed == ()


def test_hostile_names_get_room_and_lose_nothing(hostile_graph):
    planned = plan(boxes(hostile_graph))
    labels = [hostile_graph.nodes[node]["label"] for node in hostile_graph]
    assert [placed.box.name for placed in planned.boxes] == labels
    assert planned.width < 500
    for a, b in combinations([e for placed in planned.boxes for e in _extents(placed)], 2):
        assert not _overlap(a, b)


def test_graphviz_is_never_needed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    drawn = boxes(to_networkx(parse_tree("l2(global)", OMNI), OMNI))
    assert plan(drawn).boxes
    with pytest.raises(UserError, match="install Graphviz, or take layout 'layered'"):
        plan(drawn, "graphviz")


def test_a_graphviz_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: sys.executable)
    with pytest.raises(UserError, match="dot did not lay out the tree"):
        plan(boxes(to_networkx(parse_tree("l2(global)", OMNI), OMNI)), "graphviz")
