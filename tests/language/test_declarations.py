from __future__ import annotations

import pytest

from detkds_gp.errors import DeclarationError
from detkds_gp.language import (
    Algebra,
    Factor,
    Field,
    Loss,
    Map,
    Number,
    Ratio,
    Rows,
    Temperature,
    combiner,
    constant,
    describe,
    distance,
    input,
    transform,
)  # fmt: skip
from detkds_gp.primitives import OMNI, norms

SAME = "n c h w -> n c h w"


def sound(x):
    """Double it."""
    return 2 * x


def test_a_sound_primitive_is_still_the_plain_function():
    primitive = transform(Map, Map, shape=SAME, latex="2 #1")(sound)
    assert primitive(3) == 6
    assert repr(primitive) == "sound(Map) -> Map"
    assert primitive.doc == "Double it."


def test_what_is_declared_is_described_as_json_values():
    rows = {row["name"]: row for row in describe(OMNI.declarations)}
    assert rows["softmax_space"] == {
        "name": "softmax_space", "role": "transform", "arguments": ["Map", "Temperature"],
        "result": "Probs", "shape": "n c h w -> (n c) (h w)", "latex": r"\sigma_{hw}(#1 / #2)",
        "doc": "Make every channel's map a distribution over its positions.",
        "values": [], "niches": [], "random": False, "sides": "",
    }  # fmt: skip
    assert rows["foreground"]["niches"] == ["foreground_background"]
    assert rows["temperature"]["values"] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]


def test_no_docstring():
    def silent(x):
        return x

    with pytest.raises(DeclarationError, match="'silent' has no docstring"):
        transform(Map, Map, shape=SAME, latex="#1")(silent)


@pytest.mark.parametrize("latex", ["x", "#1 #2", "#2"])
def test_wrong_latex_arity(latex):
    with pytest.raises(DeclarationError, match=r"LaTeX of 'sound' is .*, wanted #1 to #1"):
        transform(Map, Map, shape=SAME, latex=latex)(sound)


@pytest.mark.parametrize("name", ["none", "calibrated", "<lambda>", "größe", "a b"])
def test_a_name_that_formulas_cannot_hold(name):
    def function(x):
        """Double it."""
        return 2 * x

    function.__name__ = name
    with pytest.raises(DeclarationError, match="primitive is called"):
        transform(Map, Map, shape=SAME, latex="#1")(function)


def test_a_first_argument_without_sides():
    def numbers(a, b, c):
        """Do nothing."""
        return a

    with pytest.raises(DeclarationError, match="first argument of a distance has two sides"):
        distance(Temperature, latex="#1")(numbers)


@pytest.mark.parametrize(
    ("arguments", "algebra"),
    [
        ((Loss, Factor), Algebra(commutative=True)),
        ((Loss, Loss, Loss), Algebra(commutative=True)),
        ((Loss, Loss), Algebra(multiplies=True)),
        ((Loss, Ratio), Algebra(multiplies=True)),
        ((Loss, Number), Algebra(multiplies=True)),
        ((Factor, Factor), Algebra(idempotent=True)),
    ],
)
def test_algebra_that_does_not_fit(arguments, algebra):
    def joined(*values):
        """Join."""
        return values[0]

    latex = "".join(f"#{number}" for number in range(1, len(arguments) + 1))
    with pytest.raises(DeclarationError, match="cannot"):
        combiner(arguments, latex=latex, algebra=algebra)(joined)


@pytest.mark.parametrize(("kind", "values"), [(Temperature, ()), (Temperature, (1, 0)), (Map, (1,))])
def test_constants_outside_their_kind(kind, values):
    def grid():
        """Numbers."""
        return values

    with pytest.raises(DeclarationError, match="constant 'grid'"):
        constant(kind)(grid)


def test_other_values_and_narrower_kinds_are_checked():
    with pytest.raises(DeclarationError, match="got 1000"):
        OMNI.declarations["temperature"].with_values(1, 1000)
    with pytest.raises(DeclarationError, match="only constants have values"):
        norms.unit_row.with_values(1)
    with pytest.raises(DeclarationError, match="does not refine"):
        norms.unit_row.retyped(Rows, Map)
    with pytest.raises(DeclarationError, match="does not refine"):
        norms.unit_row.retyped(Rows)


def test_an_input_carries_its_knowledge_and_where_it_is_found():
    def neck_():
        """Neck."""

    declaration = input(Map, niche="global", latex="F", source="neck.fpn_convs.0")(neck_)
    assert (declaration.name, declaration.niche, declaration.source) == (
        "neck", "global", "neck.fpn_convs.0",
    )  # fmt: skip


@pytest.mark.parametrize("niche", [(), "", ("a", "b"), ("a", "")])
def test_a_sided_input_belongs_to_one_niche(niche):
    def features():
        """Give features."""

    with pytest.raises(DeclarationError, match=r"input 'features': niche is .*, wanted the one knowledge"):
        input(Map, niche=niche, latex="F")(features)


def test_a_shared_input_belongs_to_any_number_of_niches():
    def mask():
        """Give a mask."""

    everywhere, twice = (input(Field, niche=niche, latex="M")(mask) for niche in ((), ("a", "b")))
    assert (everywhere.niches, twice.niches, twice.niche) == ((), ("a", "b"), "")
    assert [d.belongs_to("b") for d in (everywhere, twice)] == [True, True]
    assert [d.belongs_to("c") for d in (everywhere, twice)] == [True, False]
    with pytest.raises(DeclarationError, match="wanted names of knowledge, or nothing"):
        input(Field, niche=("a", ""), latex="M")(mask)
