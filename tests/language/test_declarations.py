from __future__ import annotations

import pickle

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
from detkds_gp.language.declarations import Declaration
from detkds_gp.language.roles import (
    ROLES,
    Combiner,
    Constant,
    Distance,
    Input,
    Learned,
    PairTransform,
    Shaped,
    Transform,
)
from detkds_gp.primitives import DETKDS, OMNI, norms

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


MADE = {
    Input: {"niches": ("global",), "source": "global"},
    Transform: {"shape": SAME},
    PairTransform: {"shape": SAME},
    Learned: {"shape": SAME, "sides": "each"},
    Distance: {"result": Loss},
    Combiner: {"arguments": (Loss, Factor), "result": Loss, "latex": "#1 #2"},
    Constant: {"result": Factor, "values": (1.0,)},
}


def made(role, **changed):
    leaf = {"arguments": (), "latex": ""} if role in (Input, Constant) else {"arguments": (Map,), "latex": "#1"}
    return role(**{"name": "sound", "result": Map, "function": sound, **leaf, **MADE[role], **changed})


@pytest.mark.parametrize(
    ("role", "changed", "message"),
    [
        *((role, {"name": "none"}, "primitive is called 'none'") for role in ROLES),
        *((role, {"function": lambda x: x}, "has no docstring") for role in ROLES),
        *((role, {"latex": "#3"}, "LaTeX of 'sound' is '#3'") for role in ROLES),
        *((role, {"arguments": (Field,)}, "has two sides") for role in (PairTransform, Learned, Distance)),
        *((role, {"arguments": (), "latex": ""}, "has two sides") for role in (PairTransform, Learned, Distance)),
        (Transform, {"arguments": (), "latex": ""}, "takes at least one argument"),
        (Transform, {"result": Field, "algebra": Algebra(idempotent=True)}, "cannot be idempotent"),
        (Combiner, {"algebra": Algebra(commutative=True)}, "cannot be commutative"),
        (Input, {"niches": ()}, "wanted the one knowledge it belongs to"),
        (Input, {"result": Field, "niches": ("a", "")}, "wanted names of knowledge"),
        (Constant, {"values": ()}, "at least one value"),
        (Constant, {"values": (1.0, 1e9)}, "Factor is 0.001 to 1000"),
        (Learned, {"sides": "teacher"}, "wanted student or each"),
        (Learned, {"sides": "student", "shape": "n c h w -> n c h/2 w/2"}, "keep kind and shape"),
        (Learned, {"arguments": (Map, Map), "latex": "#1 #2"}, "one value of two sides"),
        (Learned, {"result": Field}, "a result that has two"),
    ],
    ids=lambda value: getattr(value, "role", None),
)
def test_every_role_refuses_what_it_cannot_be(role, changed, message):
    made(role).check()
    with pytest.raises(DeclarationError, match=message):
        made(role, **changed).check()


def test_a_role_has_the_fields_that_mean_something_for_it_and_no_others():
    assert {role: set(MADE[role]) >= {"shape"} for role in ROLES} == {role: issubclass(role, Shaped) for role in ROLES}
    for role, field in ((Distance, "shape"), (Transform, "niches"), (Input, "algebra"), (Combiner, "values")):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{field}'"):
            made(role, **{field: ()})
    with pytest.raises(TypeError, match="abstract"):
        Declaration("sound", (Map,), Map, sound, "#1")


def test_the_decorators_return_the_class_of_their_role():
    kinds = {name: type(declaration) for name, declaration in OMNI.declarations.items()}
    named = ("global", "relu", "shared_mask", "global_context", "l2", "add", "ratio")
    assert tuple(kinds[name] for name in named) == ROLES
    assert [role.role for role in ROLES] == [
        "input", "transform", "pair_transform", "learned", "distance", "combiner", "constant",
    ]  # fmt: skip


def test_declarations_travel_with_narrower_kinds_and_other_values():
    temperature = OMNI.declarations["temperature"].with_values(3)
    again = pickle.loads(pickle.dumps([*DETKDS.declarations.values(), temperature]))
    for old, new in zip([*DETKDS.declarations.values(), temperature], again, strict=True):
        assert type(new) is type(old)
        assert new.function is old.function
        assert describe({"": new}) == describe({"": old})


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
