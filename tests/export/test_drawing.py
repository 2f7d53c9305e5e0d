from __future__ import annotations

import re
import struct
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from detkds_gp.errors import UserError
from detkds_gp.export import draw, to_networkx, to_png, to_svg
from detkds_gp.export.boxes import SHARED, STUDENT, TEACHER, boxes
from detkds_gp.export.plan import DETAIL_SIZE, HEIGHT, NAME_SIZE, SANS, plan
from detkds_gp.export.text import wrapped
from detkds_gp.language import parse_distiller, parse_tree, to_text
from detkds_gp.primitives import OMNI

TWO = "2 * 0.037 * l2(weighted(unit_channel(global), teacher_spatial_attention(global, 0.5)))" + (
    " + 1 * calibrated * binary_kl(units(class_logits, 2))"
)
SVG = "{http://www.w3.org/2000/svg}"
EDGE = 0.001


def _agg_width(text: str, size: float, known: dict[tuple[str, float], float]) -> float:
    """Width in inches as the renderer that paints PNG measures it."""
    if (text, size) not in known:
        font = FontProperties(family=SANS, size=size)
        renderer = RendererAgg(10, 10, 600)
        known[text, size] = renderer.get_text_width_height_descent(text, font, False)[0] / 600
    return known[text, size]


def test_no_boxes_overlap_and_every_text_fits_its_box(random_trees):
    known: dict[tuple[str, float], float] = {}
    for tree in random_trees:
        planned = plan(boxes(to_networkx(tree, OMNI)))
        for box in planned.boxes:
            assert _agg_width(box.box.name, NAME_SIZE, known) < box.width
            assert _agg_width(box.box.detail, DETAIL_SIZE, known) < box.width
            assert box.x - box.width / 2 > -EDGE
            assert box.x + box.width / 2 < planned.width + EDGE
            assert -EDGE < box.bottom < box.top < planned.height + EDGE
        for a, b in combinations(planned.boxes, 2):
            apart = abs(a.x - b.x) > (a.width + b.width) / 2 or abs(a.y - b.y) > HEIGHT
            assert apart, (a.box.name, b.box.name, to_text(tree))


def test_lines_run_between_layers_and_never_through_a_box(random_trees):
    for tree in random_trees[::4]:
        planned = plan(boxes(to_networkx(tree, OMNI)))
        assert len(planned.wires) == len(planned.boxes) - 1
        for wire in planned.wires:
            for x, y in wire.points[2:-1]:
                for box in planned.boxes:
                    inside = abs(x - box.x) < box.width / 2 and box.bottom < y < box.top
                    assert not inside, to_text(tree)


def test_every_primitive_has_its_box_and_its_numbers(random_trees):
    for tree in random_trees[::10]:
        drawn = boxes(to_networkx(tree, OMNI))
        words = re.findall(r"[A-Za-z_]\w*", to_text(tree))
        assert sorted(box.name for box in drawn) == sorted(words)
        numbers = re.findall(r"(?<![\w.])\d[\d.]*", to_text(tree))
        assert sorted(n for box in drawn for n in re.findall(r"[\d.]+", box.detail)) == sorted(numbers)


def _painted(text: str):
    figure = draw(parse_distiller(text, OMNI), OMNI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return figure, canvas.get_renderer()


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "l2(global)",
        TWO,
        "1 * 123456.789 * l1(global) + 20 * calibrated * l1(class_logits)",
        f"l2({'relu(absolute(' * 20}global{'))' * 20})",
    ],
)
def test_nothing_painted_overlaps_or_is_cut_off(text):
    figure, renderer = _painted(text)
    texts = [t for t in figure.texts if t.get_text()]
    extents = [t.get_window_extent(renderer) for t in texts]
    for (a, first), (b, second) in combinations(zip(texts, extents, strict=True), 2):
        assert not first.overlaps(second), (a.get_text(), b.get_text())
    for extent in extents:
        assert extent.x0 >= 0
        assert extent.y0 >= 0
        assert extent.x1 <= figure.bbox.x1
        assert extent.y1 <= figure.bbox.y1


def test_student_and_teacher_run_as_two_lines_up_to_the_distance():
    figure, _ = _painted("l2(weighted(global, disagreement(global)))")
    lines = [artist for artist in figure.artists if isinstance(artist, Line2D)]
    tree = [line for line in lines if len(line.get_xdata()) > 2]
    colours = sorted(str(line.get_color()) for line in tree)
    # Two from the inputs and one into l2 have both sides; the field and the loss are one grey line.
    assert colours == sorted([STUDENT, TEACHER] * 3 + [SHARED] * 2)
    for student, teacher in pairwise(tree):
        if (student.get_color(), teacher.get_color()) == (STUDENT, TEACHER):
            assert student.get_xdata()[0] < teacher.get_xdata()[0]
    names = [text.get_text() for text in figure.texts]
    # Two leaves and the legend.
    assert names.count("student") == names.count("teacher") == 3


def test_colour_follows_the_role():
    figure, _ = _painted(TWO)
    faces = {
        matplotlib.colors.to_hex(artist.get_facecolor())
        for artist in figure.artists
        if isinstance(artist, FancyBboxPatch)
    }
    # Knowledge, transform, field, distance, sum.
    assert len(faces) == 5


def test_png_has_the_size_of_the_figure():
    distiller = parse_distiller(TWO, OMNI)
    png = to_png(distiller, OMNI)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    inches = draw(distiller, OMNI).get_size_inches()
    assert (width, height) == pytest.approx(tuple(inches * 150), abs=1)


def test_svg_holds_all_words_as_text():
    distiller = parse_distiller(TWO, OMNI)
    root = ElementTree.fromstring(to_svg(distiller, OMNI))
    words = [element.text for element in root.iter(f"{SVG}text")]
    for name in re.findall(r"[a-z_]+\d?\w*", TWO):
        assert name in words or name == "calibrated", name
    assert "2 × 0.037" in words
    assert "1 × calibrated" in words
    assert root.find(f"{SVG}title").text == TWO
    assert TWO in root.find(f"{SVG}desc").text


PRINT_SVG = """
import sys
from detkds_gp.export import to_svg
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI
sys.stdout.reconfigure(encoding="utf-8")
sys.stdout.write(to_svg(parse_distiller(sys.argv[1], OMNI), OMNI))
"""


def test_svg_is_the_same_under_every_matplotlibrc():
    distiller = parse_distiller(TWO, OMNI)
    here = to_svg(distiller, OMNI)
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "text.color": "red", "axes.linewidth": 9}):
        assert to_svg(distiller, OMNI) == here
        assert matplotlib.rcParams["font.size"] == 30
    assert dict(matplotlib.rcParams) == before


@pytest.mark.slow
def test_svg_is_the_same_in_every_process():
    here = to_svg(parse_distiller(TWO, OMNI), OMNI)
    there = subprocess.run([sys.executable, "-c", PRINT_SVG, TWO], capture_output=True, check=True)
    assert there.stdout.decode() == here


def test_drawing_opens_no_pyplot():
    code = "import sys, detkds_gp.export; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_too_large_a_tree_is_refused():
    def chain(length: int):
        return parse_tree(f"l2({'relu(' * length}global{')' * length})", OMNI)

    with pytest.raises(UserError, match="too large for png; export svg"):
        to_png(chain(1500), OMNI)
    with pytest.raises(UserError, match="2502 boxes"):
        draw(chain(2500), OMNI)


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_wrapped_loses_nothing(random_distillers, columns):
    for distiller in random_distillers:
        lines = wrapped(distiller.text, columns)
        assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", distiller.text)
        longest = max(re.findall(r"[^(,]+[(,)]*", distiller.text), key=len)
        assert max(map(len, lines)) <= max(columns, len(longest) + 40)
    assert wrapped("1 * 1 * l2(global)", columns) == ["1 * 1 * l2(global)"]
