from __future__ import annotations

import re

import pytest
from matplotlib.mathtext import MathTextParser

from detkds_gp.export.latex import (
    Form,
    Written,
    fill,
    form_of,
    formula_lines,
    number_latex,
    to_latex,
)
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS, OMNI

DECLARATIONS = {**DETKDS.declarations, **OMNI.declarations}


def _lines(text: str) -> list[str]:
    return formula_lines(parse_distiller(text, OMNI), OMNI)


def _parses(latex: str) -> None:
    MathTextParser("path").parse(f"${latex}$")


@pytest.mark.parametrize("name", [name for name, d in DECLARATIONS.items() if d.latex])
def test_every_primitive_can_be_drawn(name):
    declaration = DECLARATIONS[name]
    letters = [Written(letter, Form.ATOM) for letter in "abcd"[: len(declaration.arguments)]]
    sums = [Written("a + b", Form.COMPOUND) for _ in declaration.arguments]
    _parses(fill(declaration.latex, letters).latex)
    _parses(fill(declaration.latex, sums).latex)


def test_random_distillers_can_be_drawn(random_distillers):
    for distiller in random_distillers[::3]:
        for line in formula_lines(distiller, OMNI):
            assert "#" not in line
            assert line.count("{") == line.count("}")
            _parses(line)


def test_a_distance_of_an_input_shows_both_sides():
    assert _lines("l2(global)") == [r"\mathcal{L} = \|F^{S} - F^{T}\|_{2}^{2}"]
    assert _lines("0.5 * 1 * cosine(global)") == [r"\mathcal{L} = 0.5 \, (1 - \cos(F^{S}, F^{T}))"]


def test_a_shared_expression_is_written_once():
    text = "2 * 0.037 * l2(unit_channel(global)) + calibrated * kl(softmax_row(class_logits, 2))"
    assert _lines(text) == [
        r"\mathcal{L} = 2 \cdot 0.037 \, \|x_{1}^{S} - x_{1}^{T}\|_{2}^{2}"
        r" + c_{2} \, \mathrm{KL}(x_{2}^{S}, x_{2}^{T})",
        r"x_{1} = \widehat{F}_{c}",
        r"x_{2} = \sigma(z / 2)",
    ]


def test_equal_compared_expressions_share_a_symbol_in_reading_order():
    lines = _lines("add(l1(relu(global)), add(l2(absolute(global)), smooth_l1(relu(global))))")
    assert lines == [
        r"\mathcal{L} = \|x_{1}^{S} - x_{1}^{T}\|_{1} + \|x_{2}^{S} - x_{2}^{T}\|_{2}^{2}"
        r" + h(x_{1}^{S}, x_{1}^{T})",
        r"x_{1} = (F)_{+}",
        r"x_{2} = |F|",
    ]


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        ("l1(square(fourth_power(global)))", r"(F^{4})^{2}"),
        ("l1(square(exp(global)))", r"(e^{F})^{2}"),
        ("l1(exp(square(global)))", r"e^{F^{2}}"),
        ("l1(square(signed_log(global)))", r"(\log F)^{2}"),
        ("l1(signed_log(square(global)))", r"\log F^{2}"),
        ("l1(square(absolute(global)))", r"|F|^{2}"),
        ("l1(square(weighted(global, disagreement(global))))", r"(\delta(F) \odot F)^{2}"),
        (
            "kl(softmax_channel(weighted(global, disagreement(global)), 2))",
            r"\sigma_{c}((\delta(F) \odot F) / 2)",
        ),
        (
            "l1(tanh(weighted(unit_channel(global), disagreement(global))))",
            r"\tanh(\delta(F) \odot \widehat{F}_{c})",
        ),
    ],
)
def test_parentheses_stand_where_they_are_needed(formula, latex):
    assert _lines(formula)[1] == f"x_{{1}} = {latex}"


def test_arguments_are_put_in_at_once():
    first, second = Written("#2", Form.ATOM), Written("#1", Form.ATOM)
    assert fill("#1 / #2", [first, second]).latex == "#2 / #1"


@pytest.mark.parametrize(
    ("template", "form"),
    [
        (r"f(#1 + #2)", Form.ATOM),
        (r"\sqrt{#1}", Form.ATOM),
        (r"|#1|", Form.ATOM),
        (r"\|#1\|_{2}^{2}", Form.SCRIPTED),
        (r"#1^{2}", Form.SCRIPTED),
        (r"1 - \cos(#1)", Form.COMPOUND),
        (r"\partial#1", Form.COMPOUND),
        (r"[#1] \cdot [#2]", Form.COMPOUND),
    ],
)
def test_form_of(template, form):
    assert form_of(template) == form


@pytest.mark.parametrize(
    ("value", "latex"),
    [
        (2.0, "2"),
        (0.037, "0.037"),
        (1e-05, "10^{-5}"),
        (2.5e-07, r"2.5 \cdot 10^{-7}"),
        (3e20, r"3 \cdot 10^{20}"),
    ],
)
def test_number_latex(value, latex):
    assert number_latex(value).latex == latex


def test_block_explains_its_letters():
    text = to_latex(parse_distiller("l2(global) + calibrated * l1(class_logits)", OMNI), OMNI)
    assert re.fullmatch(r"\\begin\{align\*\}\n.*\n\\end\{align\*\}\nwhere .*\.\n", text, re.DOTALL)
    for explained in ("$S$ is the student", "$T$ the teacher", "$F$ global", r"$z$ class\_logits"):
        assert explained in text
    assert "$c_{2}$ to be measured" in text
    assert to_latex(parse_distiller("none", OMNI), OMNI).startswith("\\begin{align*}\n  \\mathcal{L} ={}& 0")


def test_it_says_what_only_the_student_passes_through():
    text = to_latex(parse_distiller("l2_sum(masked_generation(global, 0.35))", OMNI), OMNI)
    assert text.endswith("$F$ global; masked\\_generation changes the student's side alone.\n")
    assert "alone" not in to_latex(parse_distiller("l2_sum(global_context(global))", OMNI), OMNI)
