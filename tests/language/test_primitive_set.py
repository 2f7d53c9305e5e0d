from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest
from deap import gp

from detkds_gp.errors import DeclarationError
from detkds_gp.language import (
    Field,
    Loss,
    Map,
    PrimitiveSet,
    RowField,
    input,
    load_primitive_set,
    parse_tree,
    to_text,
)
from detkds_gp.primitives import DETKDS, OMNI, combiners, distances, inputs, norms

MODULE = """
from detkds_gp.language import Map, PrimitiveSet, transform
from detkds_gp.primitives import distances, inputs

@transform(Map, Map, shape="n c h w -> n c h w", latex="-#1")
def negated(x):
    \"\"\"Change the sign.\"\"\"
    return -x

MINE = PrimitiveSet("MINE", [inputs.global_, negated, distances.l2])
"""


def echo(primitive_set, declaration, tree):
    return primitive_set.fingerprint(), repr(declaration), declaration.values, to_text(tree), tree


def test_sets_declarations_and_trees_travel_to_a_spawned_process():
    declaration = combiners.temperature.with_values(1, 3)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for primitive_set in (OMNI, DETKDS, OMNI.niche("global")):
            tree = parse_tree("l2(unit_channel(global))", primitive_set)
            there = pool.submit(echo, primitive_set, declaration, tree).result()
            assert there == echo(primitive_set, declaration, tree)
            assert there[2] == (1.0, 3.0)


def test_a_restored_declaration_keeps_its_narrower_kinds():
    restored = pickle.loads(pickle.dumps(DETKDS))
    assert {n: repr(d) for n, d in restored.declarations.items()} == {
        n: repr(d) for n, d in DETKDS.declarations.items()
    }
    assert restored.niches == DETKDS.niches


def test_a_declaration_inside_a_function_says_that_it_cannot_travel():
    @input(Map, niche="a", latex="A")
    def local():
        """Stand in a function."""

    with pytest.raises(DeclarationError, match="move it to an importable file"):
        pickle.loads(pickle.dumps(local))


def test_it_is_a_deap_set():
    assert isinstance(OMNI, gp.PrimitiveSetTyped)
    assert {p.name for p in OMNI.primitives[Loss]} >= {"l1", "kl", "add", "scaled"}
    assert OMNI.min_height(Loss) == 1


def test_duplicate_names():
    with pytest.raises(DeclarationError, match="two primitives are called 'l2'; rename one"):
        PrimitiveSet("TWICE", [inputs.global_, distances.l2, distances.l2])


def test_functions_that_are_not_declared():
    with pytest.raises(DeclarationError, match="is not declared; decorate it"):
        PrimitiveSet("PLAIN", [inputs.global_, distances.l2, len])


@pytest.mark.parametrize("parts", [[], [distances.l2], [norms.unit_channel, distances.l2]])
def test_a_set_without_inputs(parts):
    with pytest.raises(DeclarationError, match="has no input that student and teacher share"):
        PrimitiveSet("EMPTY", parts)


def test_an_input_from_which_no_loss_can_be_built():
    with pytest.raises(DeclarationError, match="no formula from 'class_logits' ends in a Loss"):
        PrimitiveSet("DEAD", [inputs.global_, inputs.class_logits, distances.l2_sum])


def test_a_niche_keeps_its_own_inputs_and_shared_fields():
    @input(Field, latex="B")
    def boxes_mask():
        """Say where the boxes are."""

    parts = [*OMNI.declarations.values(), boxes_mask]
    narrowed = PrimitiveSet("WITH_FIELD", parts).niche("class_logits")
    names = [d.name for d in narrowed.inputs]
    masks = ["teacher_score", "foreground_mask", "background_mask", "valuable_region"]
    assert names == ["class_logits", "class_map", *masks, "boxes_mask"]
    assert narrowed.niches == ("class_logits",)
    assert narrowed.niche("class_logits") is narrowed


def test_unknown_niches_name_the_nearest():
    with pytest.raises(DeclarationError, match="no knowledge 'globe'; did you mean 'global'"):
        OMNI.niche("globe")


def test_without_takes_inputs_away():
    smaller = OMNI.without("class_map", "class_logits")
    assert smaller.niches == tuple(niche for niche in OMNI.niches if niche != "class_logits")
    assert "class_logits" in OMNI.niches


ALL_NICHES = (
    "global", "foreground_background", "instance", "class_logits", "localization",
    "objectness", "proposals", "mask_logits", "cross_head", "memory", "queries", "predictions",
)  # fmt: skip
GRIDS = {"global", "foreground_background", "class_logits", "objectness", "cross_head"}
MASKS = {"teacher_score", "foreground_mask", "background_mask", "valuable_region"}


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=lambda s: s.name)
def test_the_niches_stand_in_their_order(primitive_set):
    assert primitive_set.niches == ALL_NICHES


@pytest.mark.parametrize("niche", ALL_NICHES)
def test_a_niche_has_the_fields_that_fit_its_positions_or_rows(niche):
    fields = {d.name for d in OMNI.niche(niche).declarations.values() if issubclass(d.result, (Field, RowField))}
    ours = {
        "localization": {"box_score", "valuable_boxes"}, "proposals": {"proposal_score"},
        "queries": {"query_score"}, "predictions": {"predicted_score"},
    }  # fmt: skip
    expected = ours.get(niche, MASKS if niche in GRIDS else set())
    assert fields - {"teacher_spatial_attention", "teacher_channel_attention", "disagreement"} == expected
    rows = {d.name for d in DETKDS.niche(niche).declarations.values() if issubclass(d.result, (Field, RowField))}
    assert rows - set(DETKDS.known) == ours.get(niche, set())


def test_the_last_niche_loses_the_fields_of_others_too():
    others = [d.name for d in OMNI.inputs if d.niche and d.niche != "instance"]
    alone = OMNI.without(*others)
    assert alone.niches == ("instance",)
    assert "foreground_mask" in alone.declarations
    assert not MASKS & set(alone.niche("instance").declarations)
    assert alone.niche("instance").niche("instance") is alone.niche("instance")


def test_the_fingerprint_changes_with_kinds_and_values():
    prints = {
        OMNI.fingerprint(),
        DETKDS.fingerprint(),
        OMNI.without("class_map").fingerprint(),
        PrimitiveSet("OMNI", [
            d.with_values(1) if d.name == "temperature" else d for d in OMNI.declarations.values()
        ]).fingerprint(),
    }  # fmt: skip
    assert len(prints) == 4


def test_the_library_is_loaded_by_name():
    assert load_primitive_set("detkds_gp.primitives:DETKDS") is DETKDS


def test_a_set_in_the_current_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "negative_primitives.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    mine = load_primitive_set("negative_primitives:MINE")
    assert to_text(parse_tree("l2(negated(global))", mine)) == "l2(negated(global))"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("detkds_gp.primitives:DETKD", "has no set 'DETKD'; did you mean 'DETKDS'"),
        ("detkds_gp.primitives:distances", "has no set 'distances'"),
        ("no_such_module:SET", "No module named 'no_such_module'"),
        ("detkds_gp.primitives", "wanted module:NAME"),
        ("", "wanted module:NAME"),
        (":OMNI", "wanted module:NAME"),
        ("../primitives:OMNI", "wanted module:NAME"),
        (".primitives:OMNI", "wanted module:NAME"),
    ],
)
def test_a_reference_that_leads_nowhere(reference, message):
    with pytest.raises(DeclarationError, match=message):
        load_primitive_set(reference)


def test_a_file_that_does_not_import_is_told_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("MINE = PrimitiveSet(\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DeclarationError, match="half_written.*SyntaxError.*mend the file"):
        load_primitive_set("half_written:MINE")


ON_STANDARD_INPUT = """
from detkds_gp.language import Map, transform
from detkds_gp.primitives import OMNI

@transform(Map, Map, shape="n c h w -> n c h w", latex="#1")
def centred(x):
    "Take from every channel its mean over the positions."
    return x - x.mean(dim=(2, 3), keepdim=True)

OMNI.extended("MINE", centred).fingerprint()
"""


def test_a_set_declared_on_standard_input_is_told_what_to_do():
    command = [sys.executable, "-"]
    ended = subprocess.run(command, input=ON_STANDARD_INPUT, capture_output=True, text=True, timeout=120)
    said = ended.stderr.strip().splitlines()[-1]
    assert "primitive 'centred' is declared on standard input or in a session" in said
    assert "write it and its set to a file" in said
