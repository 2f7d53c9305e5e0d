"""Learned primitives: declared once, tried like any other, named in formulas and never drawn."""

from __future__ import annotations

import pickle
import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from detkds_gp.errors import DeclarationError
from detkds_gp.language import (
    Field,
    Learned,
    Map,
    PrimitiveSet,
    RowField,
    Rows,
    describe,
    grow,
    learned,
    make_term,
    parse_distiller,
    parse_tree,
    to_text,
)
from detkds_gp.language.contract import check_contract
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.primitives.distances import l2
from detkds_gp.primitives.inputs import global_
from detkds_gp.primitives.learned import global_context, masked_generation

SAME = "n c h w -> n c h w"


class Linear(nn.Module):
    """Mix the channels of every position."""

    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return self.mix(x)


def declare(module, kinds=Map, result=Map, **fields):
    declaration = learned(kinds, result, **{"shape": SAME, "latex": "#1", "sides": "student", **fields})(module)
    check_contract(declaration)
    return declaration


def changed(**members):
    return type("broken", (Linear,), {"__doc__": "Mix.", "__module__": __name__, **members})


def test_a_module_is_declared_once_and_described():
    (row,) = describe({"masked_generation": masked_generation})
    assert (row["role"], row["sides"], row["random"], row["shape"]) == ("learned", "student", True, SAME)
    assert row["doc"].startswith("Mask positions")
    assert repr(global_context) == "global_context(Map) -> Map"
    assert isinstance(global_context, Learned)
    assert pickle.loads(pickle.dumps(global_context)).function is global_context.function


def no_gradient(self, x):
    return self.mix(x).detach()


def batch_norm(self, x):
    return self.mix(x) - x.mean(dim=0, keepdim=True) * len(x)


@pytest.mark.parametrize(
    ("module", "fields", "message"),
    [
        (changed(forward=lambda self, x: self.mix(x)[:, :, 1:]), {}, "returns"),
        (changed(forward=lambda self, x: self.mix(x) / x.square().sum((1, 2, 3), True)), {}, "not finite at zero"),
        (changed(forward=no_gradient), {}, "has no gradient"),
        (changed(forward=lambda self, x: self.mix(x.detach())), {}, "no gradient reaches the student"),
        (changed(forward=lambda self, x: 2 * x), {}, "no gradient reaches its weights"),
        (changed(forward=batch_norm), {}, "mixes images"),
        (changed(forward=lambda self, x: F.dropout(self.mix(x), 0.5)), {}, "draws at random"),
        (changed(__init__=lambda self, channels: nn.Module.__init__(self)), {}, "no weights to train"),
        (changed(__init__=lambda self: nn.Module.__init__(self)), {}, "fails on shape"),
        (changed(__doc__=None), {}, "has no docstring"),
        (Linear, {"sides": "teacher"}, "wanted student or each"),
        (Linear, {"shape": "n c h w -> n c h/2 w/2"}, "keep kind and shape"),
        (Linear, {"kinds": (Map, Map), "latex": "#1 #2"}, "two sides, the first"),
        (Linear, {"result": Field}, "a result that has two"),
        (lambda x: x, {}, "no class derived from torch.nn.Module"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_told(module, fields, message):
    with pytest.raises(DeclarationError, match=message):
        declare(module, **fields)


def test_the_first_weights_follow_from_the_seed_and_move_no_stream():
    state = torch.get_rng_state()
    first = masked_generation.made(4, 7, "a").state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    global_context.made(3, 1, "elsewhere")
    again, other, seed = (masked_generation.made(4, *key).state_dict() for key in ((7, "a"), (7, "b"), (8, "a")))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not torch.equal(first["generate.0.weight"], other["generate.0.weight"])
    assert not torch.equal(first["generate.0.weight"], seed["generate.0.weight"])


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=lambda s: s.name)
def test_formulas_name_them_and_growth_never_draws_them(primitive_set):
    text = "l2_sum(masked_generation(global, 0.35))"
    assert to_text(parse_tree(text, primitive_set)) == text
    assert parse_distiller(f"0.5 * 2 * {text}", primitive_set).text == f"0.5 * 2 * {text}"
    learned_names = {name for name, d in primitive_set.declarations.items() if isinstance(d, Learned)}
    assert learned_names == {"masked_generation", "global_context"} <= set(primitive_set.known)
    rng, narrowed = random.Random(0), primitive_set.niche("global")
    assert learned_names <= set(narrowed.known)
    for _ in range(300):
        tree = grow(narrowed, rng, 6)
        assert not {node.name for node in tree} & set(primitive_set.known)


def test_a_set_without_an_input_still_knows_them():
    kept = OMNI.without("class_map", "class_logits")
    assert kept.known == OMNI.known
    assert pickle.loads(pickle.dumps(kept)).known == OMNI.known
    assert "class_logits" not in kept.niches


def test_what_is_known_counts_in_the_fingerprint():
    bare = [global_, l2]
    prints = [
        PrimitiveSet("OWN", bare).fingerprint(),
        PrimitiveSet("OWN", bare, [global_context]).fingerprint(),
        PrimitiveSet("OWN", [*bare, global_context]).fingerprint(),
    ]
    assert len(set(prints)) == 3


def test_knowledge_cannot_be_known_without_being_grown_from():
    with pytest.raises(DeclarationError, match="cannot be known without being grown from"):
        PrimitiveSet("OWN", [global_, l2], [OMNI.declarations["class_logits"]])
    with pytest.raises(DeclarationError, match="two primitives are called 'l2'"):
        PrimitiveSet("OWN", [global_, l2], [l2])


class narrowed(nn.Module):  # noqa: N801
    """Map rows to one number each."""

    def __init__(self, channels):
        super().__init__()
        self.narrow = nn.Linear(channels, 1)

    def forward(self, x):
        return self.narrow(x)


def test_rows_can_be_learned_too():
    declared = learned(Rows, Rows, shape="m d -> m 1", latex="#1", sides="each")(narrowed)
    assert declared.made(5, 0, "")(torch.ones(3, 5)).shape == (3, 1)


class weighed(narrowed):  # noqa: N801
    """Map rows to one number each, times the field's."""

    def forward(self, x, field):
        return self.narrow(x) * field.repeat_interleave(len(x) // max(1, len(field)), 0)


class tiled(narrowed):  # noqa: N801
    """Map rows to one number each, times the field's in another order."""

    def forward(self, x, field):
        return self.narrow(x) * field.repeat(len(x) // max(1, len(field)), 1)


def test_a_field_may_stand_beside_the_rows():
    fields = {"shape": "m d -> m 1", "latex": "#1 #2", "sides": "each"}
    declare(weighed, (Rows, RowField), Rows, **fields)
    with pytest.raises(DeclarationError, match="does not repeat a field's number"):
        declare(tiled, (Rows, RowField), Rows, **fields)


def test_a_learned_tree_is_a_term_of_its_knowledge():
    term = make_term(parse_tree("l2(global_context(global))", OMNI), OMNI)
    assert term.knowledge == "global"
