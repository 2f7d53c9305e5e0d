from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, pairwise

import pytest

from detkds_gp.errors import UserError
from detkds_gp.export import Look, Panel, to_networkx
from detkds_gp.export.drawing import compose, in_words
from detkds_gp.export.scene import Area, Group, Line, Scene, Words
from detkds_gp.language import PrimitiveSet, parse_distiller, parse_tree
from detkds_gp.primitives import OMNI

from .extents import extent

TWO = "2 * 0.037 * l2(weighted(unit_channel(global), teacher_spatial_attention(global, 0.5)))" + (
    " + 1 * calibrated * binary_kl(units(class_logits, 2))"
)
OTHER = (
    "1 * 0.037 * l2(weighted(relu(global), disagreement(global))) + 1 * calibrated * binary_kl(units(class_logits, 4))"
)
LONG = f"l2({'relu(absolute(' * 20}global{'))' * 20})"


def _panels(*texts: str) -> list[Panel]:
    return [Panel(parse_distiller(text, OMNI), OMNI, f"number {n}") for n, text in enumerate(texts)]


def _of(scene: Scene, sort: str) -> list[Group]:
    return [group for group in scene.groups if group.sort == sort]


def _texts(scene: Scene) -> list[Words]:
    return [item for item in scene.items if isinstance(item, Words)]


@pytest.mark.parametrize("diff", [False, True])
@pytest.mark.parametrize(
    "texts",
    [
        ("none", TWO),
        (TWO, OTHER),
        ("1 * 123456.789 * l1(global) + 20 * calibrated * l1(class_logits)", LONG),
        (TWO, OTHER, "l2(global)"),
    ],
    ids=["none", "two", "long", "three"],
)
def test_no_letters_overlap_or_are_cut_off(texts, diff):
    scene = compose(_panels(*texts[:2] if diff else texts), Look(diff=diff))
    extents = [(words.lines, extent(words)) for words in _texts(scene)]
    for (one, a), (other, b) in combinations(extents, 2):
        assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]), (one, other)
    for lines, (left, top, right, bottom) in extents:
        assert left >= 0, lines
        assert top >= 0, lines
        assert right <= scene.width, lines
        assert bottom <= scene.height, lines


@pytest.mark.parametrize("caption", ["run " * 80, "x" * 300, "漢" * 100, "שלום עולם " * 30, "<script>&\"'"])
def test_long_names_and_captions_stay_on_the_paper(caption):
    long = replace(OMNI.declarations["relu"], name="a_long_name_" * 16 + "12345678")
    assert len(long.name) == 200
    primitives = PrimitiveSet("LONG", [*OMNI.declarations.values(), long])
    scene = compose([Panel(parse_distiller(f"l2({long.name}(global))", primitives), primitives, caption)])
    assert scene.width < 700
    assert any("".join(words.lines).split() == caption.split() for words in _texts(scene))
    for words in _texts(scene):
        assert 0 <= extent(words)[0] < extent(words)[2] <= scene.width, words


def test_letters_are_of_readable_size_in_small_and_large_trees(random_trees):
    largest = max(random_trees, key=len)
    sizes = {text.size for tree in (random_trees[0], largest) for text in _texts(compose([Panel(tree, OMNI)]))}
    assert min(sizes) >= 10
    scene = compose([Panel(largest, OMNI)])
    assert scene.width < 4000
    assert scene.height < 4000


def test_nodes_and_edges_are_those_of_the_graph(random_distillers):
    for distiller in random_distillers[::6]:
        scene, graph = compose([Panel(distiller, OMNI)]), to_networkx(distiller, OMNI)
        nodes = [(int(g.data["node"]), g.data["label"], g.data["family"]) for g in _of(scene, "node")]
        assert nodes == [(n, row["label"], row["family"]) for n, row in graph.nodes(data=True)]
        edges = {(int(g.data["from"]), int(g.data["to"])): g.data["position"] for g in _of(scene, "edge")}
        assert edges == {(a, b): str(position) for a, b, position in graph.edges(data="position")}


def test_every_edge_says_kind_and_shape_and_the_root_says_weights():
    scene = compose(_panels(TWO))
    labels = {group.data["node"]: group.data["label"] for group in _of(scene, "node")}
    said = [(labels[g.data["from"]], g.data["passed"], g.data["weight"]) for g in _of(scene, "edge")]
    assert said == [
        ("global", "Map 2×8×9×11", ""),
        ("global", "Map 2×8×9×11", ""),
        ("0.5", "Temperature", ""),
        ("unit_channel", "Map 2×8×9×11", ""),
        ("teacher_spatial_attention", "Field 2×1×9×11", ""),
        ("weighted", "Map 2×8×9×11", ""),
        ("class_logits", "Rows 198×8", ""),
        ("2", "Temperature", ""),
        ("units", "Units 198×8", ""),
        ("l2", "Loss ()", "2 × 0.037"),
        ("binary_kl", "Loss ()", "1 × calibrated"),
    ]
    for group in _of(scene, "edge"):
        written = [" ".join(item.lines) for item in group.items if isinstance(item, Words)]
        assert written == [text for text in (group.data["weight"], group.data["passed"]) if text]


def test_real_shapes_replace_the_sampled():
    tree = parse_tree("l2(relu(global))", OMNI)
    scene = compose([Panel(tree, OMNI, shapes={"global": (16, 256, 100, 152)})])
    assert [g.data["passed"] for g in _of(scene, "edge")] == ["Map 16×256×100×152", "Map"]
    notes = [text.lines[0] for text in _texts(scene)]
    assert "shapes: as given" in notes
    assert "shapes: one level of sample knowledge" not in notes


def test_student_and_teacher_run_as_two_lines_up_to_the_distance():
    scene = compose([Panel(parse_tree("l2(weighted(global, disagreement(global)))", OMNI), OMNI)])
    for group in _of(scene, "edge"):
        inks = [item.ink for item in group.items if isinstance(item, Line)]
        shared = group.data["passed"].startswith("Field")
        assert inks == (["shared"] if shared else ["student", "teacher"])
    for group in _of(scene, "edge"):
        for student, teacher in pairwise(item for item in group.items if isinstance(item, Line)):
            assert student.points[0][0] < teacher.points[0][0]
            assert student.points[-1][0] < teacher.points[-1][0]


def test_colour_follows_the_family():
    scene = compose(_panels(TWO))
    for group in _of(scene, "node"):
        (area,) = [item for item in group.items if isinstance(item, Area)]
        assert area.fill == f"{group.data['family']}-fill"
    families = {group.data["family"] for group in _of(scene, "node")}
    assert families == {"knowledge", "transform", "field", "distance", "combiner", "constant"}


def test_the_legend_explains_what_is_shown_and_nothing_else():
    (group,) = _of(compose(_panels("kl(softmax_row(class_logits, 2))")), "legend")
    assert [item.lines[0] for item in group.items if isinstance(item, Words)] == [
        "student", "teacher", "one for both", "knowledge", "transform", "distance", "combiner", "constant",
        "shapes: one level of sample knowledge",
    ]  # fmt: skip


def test_panels_stand_side_by_side():
    scene = compose(_panels(TWO, OTHER, "none"))
    rights = []
    for number in "012":
        texts = [w for g in scene.groups if g.data.get("panel") == number for w in g.items if isinstance(w, Words)]
        assert any(words.lines == (f"number {number}",) for words in texts)
        rights.append((min(extent(w)[0] for w in texts), max(extent(w)[2] for w in texts)))
    assert all(left[1] < right[0] for left, right in pairwise(rights))


def test_a_diff_marks_what_one_formula_has_alone():
    scene = compose(_panels(TWO, OTHER), Look(diff=True))
    marked = [(g.data["panel"], g.data["label"], g.data["only"]) for g in _of(scene, "node") if "only" in g.data]
    assert sorted(marked) == [
        ("0", "0.5", "−"), ("0", "2", "−"), ("0", "teacher_spatial_attention", "−"), ("0", "unit_channel", "−"),
        ("1", "4", "+"), ("1", "disagreement", "+"), ("1", "relu", "+"),
    ]  # fmt: skip
    for group in _of(scene, "node"):
        rings = [item for item in group.items if isinstance(item, Area) and item.line == "accent"]
        fills = {item.fill for item in group.items if isinstance(item, Area)}
        assert bool(rings) == ("only" in group.data)
        assert (f"{group.data['family']}-fill" in fills) == ("only" in group.data)
    weights = [item for g in _of(scene, "edge") for item in g.items if isinstance(item, Words) and item.ink == "accent"]
    assert [words.lines[0] for words in weights] == ["2 × 0.037", "1 × 0.037"]
    assert "Only in the second: relu, disagreement, 4." in scene.description


def test_a_diff_is_of_two():
    for texts in ((TWO,), (TWO, OTHER, TWO)):
        with pytest.raises(UserError, match=rf"got {len(texts)} formula\(s\), wanted 2"):
            compose(_panels(*texts), Look(diff=True))


def test_too_large_a_tree_is_refused():
    chain = parse_tree(f"l2({'relu(' * 2500}global{')' * 2501}", OMNI)
    with pytest.raises(UserError, match="2502 nodes"):
        compose([Panel(chain, OMNI)])


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("none", "the student alone, without distillation"),
        ("0.5 * 4.17 * smooth_l1(patches_4(global))", "0.5 times 4.17 times smooth l1 of patches 4 of global"),
        (
            "calibrated * kl(softmax_row(class_logits, 2)) + l1(global)",
            "1 times 1 times l1 of global plus "
            "1 times calibrated times kl of softmax row of class logits with temperature 2",
        ),
        (
            "l2(weighted(relu(global), disagreement(global)))",
            "1 times 1 times l2 of weighted of (relu of global) and (disagreement of global)",
        ),
    ],
)
def test_formulas_in_words(formula, said):
    assert in_words(to_networkx(parse_distiller(formula, OMNI), OMNI)) == said


def test_every_name_and_number_is_said_in_order(random_distillers):
    for distiller in random_distillers[1:]:
        said = in_words(to_networkx(distiller, OMNI))
        names = re.findall(r"[A-Za-z_]\w*|[\d.]+(?:e[-+]?\d+)?", distiller.text)
        place = 0
        for name in names:
            place = said.index(name.replace("_", " "), place) + len(name)
