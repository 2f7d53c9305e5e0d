from __future__ import annotations

import builtins
import random
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detkds_gp.errors import FormulaError
from detkds_gp.language import Map, grow, parse_distiller, parse_tree, to_text
from detkds_gp.language.parser import MAX_NODES
from detkds_gp.primitives import DETKDS, OMNI

SOUND = [
    "2 * 0.037 * l2(unit_channel(global)) + 1 * 1.2 * kl(softmax_row(class_logits, 2))",
    "3 * calibrated * weighted_binary_kl(units(class_logits, 1))",
    *(to_text(grow(OMNI.niche("global"), random.Random(seed), 1 + seed % 8)) for seed in range(16)),
]
PIECES = [
    *OMNI.declarations, *map(str, range(-2, 12)), "1e999", "1e-999", "-0", "nan", "inf", "٣", "½",
    "9" * 500, "(" * 300, ")" * 300, "relu(" * 1000, "add(l1(global), " * 200, "l2(global) + " * 50,
    "__import__('os')", "lambda: 0", "none", "calibrated", "\x00", "\u200b", "𝟙", "é",
    "\n", " ", "\t", "*", "+", ",", "()", "--", "1.", ".5", "1e", "e5", "0x10", "1_0", "'", '"',
    "#", "[", "{", "\\",
]  # fmt: skip
EDIT = st.tuples(
    st.sampled_from(["delete", "insert", "replace", "transpose"]),
    st.integers(0, 400),
    st.integers(1, 12),
    st.one_of(st.sampled_from(PIECES), st.text(max_size=6), st.text(string.printable, max_size=3)),
)


def corrupt(text: str, edits: list[tuple[str, int, int, str]]) -> str:
    for how, where, length, piece in edits:
        at = where % (len(text) + 1)
        head, cut, tail = text[:at], text[at : at + length], text[at + length :]
        new = {"delete": "", "insert": piece + cut, "replace": piece, "transpose": cut[::-1]}[how]
        text = head + new + tail
    return text


@pytest.mark.slow
@settings(
    max_examples=2000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(SOUND), st.lists(EDIT, min_size=1, max_size=4))
def test_2000_corrupted_formulas_are_read_or_refused_with_a_position(text, edits):
    text = corrupt(text, edits)
    try:
        distiller = parse_distiller(text, OMNI)
    except FormulaError as caught:
        error = caught
    else:
        assert parse_distiller(distiller.text, OMNI).text == distiller.text
        return
    assert error.position is not None
    assert 0 <= error.position <= len(text)
    assert f"position {error.position}" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch owned')",
        "__import__",
        "l2(__import__('os').system('touch owned'))",
        "l2(global) if open('owned', 'w') else l1(global)",
        "(lambda: open('owned', 'w'))()",
        "exec(open('owned', 'w'))",
        "l2(global.__class__.__mro__)",
        "eval * l2(global)",
        "scaled(l2(global), open('owned', 'w').write('x'))",
    ],
)
def test_a_formula_never_runs_code(text, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("code was run")

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        for name in ("eval", "exec", "compile", "open"):
            patch.setattr(builtins, name, refuse)
        with pytest.raises(FormulaError):
            parse_distiller(text, OMNI)
        with pytest.raises(FormulaError):
            parse_tree(text, OMNI)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("l2(globl)", 3, "unknown primitive 'globl'; did you mean 'global' or 'global_context'?"),
        ("l2(global", 9, "got 'the end', wanted ')'"),
        ("l2(global))", 10, "after the end of the formula"),
        ("l2()", 3, "wanted a Features"),
        ("l2 global", 3, "wanted '(' to call l2(Features) -> Loss"),
        ("add(l1(global))", 14, "wanted ',' before argument 2 of add(Loss, Loss) -> Loss"),
        ("l2(global, 2)", 9, "wanted ')' after the last argument of l2(Features) -> Loss"),
        ("", 0, "got 'the end', wanted a Loss"),
        ("3", 0, "got the number 3, wanted a Loss"),
        ("$l2", 0, "unexpected character '$'"),
        ("scaled(l2(global), 1e9)", 19, "Factor is 1e9, wanted 0.001 to 1000"),
        ("scaled(l2(global), -1)", 19, "Factor is -1, wanted 0.001 to 1000"),
        ("kl(softmax_space(global, temperature))", 25, "unknown primitive 'temperature'"),
        ("relu(" * (MAX_NODES + 1), 5 * MAX_NODES - 2, f"more than {MAX_NODES} nodes"),
    ],
)
def test_the_position_and_the_reason_are_named(text, position, message):
    if len(text) > 1000:
        text = "l2(" + text
    with pytest.raises(FormulaError) as caught:
        parse_tree(text, OMNI)
    assert caught.value.position == position
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kl(flatten_space(global))",
            "'kl' takes Probs, but 'flatten_space' returns Rows; write kl(softmax_row(flatten_space(...), 1))",
        ),
        (
            "kl(global)",
            "'kl' takes Probs, but 'global' returns Map; write kl(softmax_space(global, 1))",
        ),
        ("binary_kl(class_logits)", "write binary_kl(units(class_logits, 1))"),
        ("weighted(global, global)", "a formula is Loss, but 'weighted' returns Map"),
        (
            "l2(weighted(global, global))",
            "write weighted(..., teacher_spatial_attention(global, 1))",
        ),
        ("giou(global)", "'giou' takes Boxes, but 'global' returns Map"),
        ("l2(boxes)", "'l2' takes Features, but 'boxes' returns Boxes; write l2(box_offsets(boxes))"),
        ("weighted_iou(boxes, teacher_score)", "'weighted_iou' takes RowField, but 'teacher_score' returns Field"),
        ("l2(weighted(global, box_score))", "'weighted' takes Field, but 'box_score' returns RowField"),
        ("relu(global)", "a formula is Loss, but 'relu' returns Map; write l1(relu(...))"),
        ("add(global, l1(global))", "write add(l1(global), ...)"),
    ],
)
def test_a_wrong_kind_says_got_wanted_and_the_bridge(text, message):
    with pytest.raises(FormulaError) as caught:
        parse_tree(text, OMNI)
    assert message in str(caught.value)


def test_without_a_bridge_only_got_and_wanted_are_said():
    with pytest.raises(FormulaError, match="'l2_sum' takes Map, but 'class_logits' returns Rows") as caught:
        parse_tree("l2_sum(class_logits)", OMNI)
    assert "write" not in str(caught.value)


@pytest.mark.parametrize("text", ["kl(flatten_space(global))", "kl(global)", "binary_kl(class_logits)"])
def test_the_suggested_formula_is_sound(text):
    with pytest.raises(FormulaError) as caught:
        parse_tree(text, OMNI)
    remedy = str(caught.value).split("; write ")[1].split(" (at")[0].replace("(...)", "(global)")
    assert parse_tree(remedy, OMNI)


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=lambda s: s.name)
def test_overlaps_are_of_boxes_and_fields_of_their_niche(primitive_set):
    with pytest.raises(FormulaError, match="unknown primitive 'boxes'"):
        parse_tree("giou(boxes)", primitive_set.niche("global"))
    with pytest.raises(FormulaError, match="unknown primitive 'foreground_mask'"):
        parse_tree("l2(weighted(instance, foreground_mask))", OMNI.niche("instance"))
    assert parse_tree("weighted_giou(boxes, box_score)", primitive_set.niche("localization"))


def test_subtrees_of_another_kind_can_be_read():
    assert to_text(parse_tree("relu(global)", OMNI, Map)) == "relu(global)"


def test_white_space_does_not_matter():
    spread = " kl ( softmax_row\n(\tclass_logits , 2.50 ) ) "
    assert to_text(parse_tree(spread, OMNI)) == "kl(softmax_row(class_logits, 2.5))"
    assert parse_tree("kl(softmax_row(class_logits, 2))", DETKDS)
