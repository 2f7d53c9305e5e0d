from __future__ import annotations

import copy
import json

import pytest

from detkds_gp.errors import FormulaError
from detkds_gp.export import distiller_from_json, distiller_to_json, export
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS, OMNI

TEXT = "2 * 0.037 * l2(unit_channel(global)) + 1 * calibrated * kl(softmax_row(class_logits, 2))"


def test_round_trip(random_distillers):
    for distiller in random_distillers:
        text = export(distiller, OMNI, "json")
        assert distiller_from_json(text, OMNI).text == distiller.text
        assert distiller_from_json(text.encode(), OMNI).text == distiller.text
        assert distiller_from_json(json.loads(text), OMNI).text == distiller.text


def test_nodes_of_a_term():
    data = distiller_to_json(parse_distiller(TEXT, OMNI), OMNI)
    assert data["formula"] == TEXT
    assert data["terms"][1]["nodes"] == [
        {"id": 0, "name": "class_logits", "role": "input", "kind": "Rows", "args": []},
        {"id": 1, "name": "2", "role": "constant", "kind": "Temperature", "args": []},
        {"id": 2, "name": "softmax_row", "role": "transform", "kind": "Probs", "args": [0, 1]},
        {"id": 3, "name": "kl", "role": "distance", "kind": "Loss", "args": [2]},
    ]


def test_formula_alone_and_further_keys_are_enough():
    assert distiller_from_json({"formula": TEXT, "ap": 0.3}, OMNI).text == TEXT
    data = json.loads(export(parse_distiller(TEXT, OMNI), OMNI, "json"))
    data["terms"][0]["note"] = "mine"
    data["terms"][1]["weight"] = 1
    assert distiller_from_json(data, OMNI).text == TEXT


def _paths(value, here=()):
    """Every place of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*here, key)
        if isinstance(inner, dict | list):
            yield from _paths(inner, (*here, key))


def _one_line(caught) -> bool:
    return "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("change", ["drop", "null", "text", "list", "true"])
def test_every_corrupted_place_is_named(change):
    data = json.loads(export(parse_distiller(TEXT, OMNI), OMNI, "json"))
    values = {"null": None, "text": "x\ny", "list": [[]], "true": True}
    for path in _paths(data):
        if (path[-1], change) in {("terms", "drop"), ("scale", "null")}:
            continue
        broken = copy.deepcopy(data)
        parent = broken
        for key in path[:-1]:
            parent = parent[key]
        if change == "drop":
            del parent[path[-1]]
        else:
            parent[path[-1]] = values[change]
        # In Python True equals 1, in JSON it does not.
        if json.dumps(broken) == json.dumps(data):
            continue
        with pytest.raises(FormulaError) as caught:
            distiller_from_json(broken, OMNI)
        assert _one_line(caught), path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '"l2(global)"',
        '{"formula": 3}',
        '{"formula": ""}',
        '{"formula": "l2(global"}',
        '{"formula": "l3(global)"}',
        '{"formula": "1e999 * l2(global)"}',
        '{"formula": "l2(global)", "terms": {}}',
        '{"formula": "l2(global)", "terms": []}',
        '{"formula": "l2(global)", "terms": [NaN]}',
        "[" * 100_000,
        b"\xff\xfe\x00\xd8",
    ],
)
def test_broken_text_gives_one_line(text):
    with pytest.raises(FormulaError) as caught:
        distiller_from_json(text, OMNI)
    assert _one_line(caught)


def test_a_name_of_another_set_is_refused():
    with pytest.raises(FormulaError, match="unknown primitive 'disagreement'"):
        distiller_from_json({"formula": "l2(weighted(global, disagreement(global)))"}, DETKDS)


def test_reading_never_runs_code(tmp_path):
    trap = tmp_path / "ran"
    for code in (f"open({str(trap)!r}, 'w')", f"__import__('os').mknod({str(trap)!r})"):
        with pytest.raises(FormulaError):
            distiller_from_json({"formula": code}, OMNI)
    assert not trap.exists()
