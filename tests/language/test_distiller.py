from __future__ import annotations

import json
import random

import pytest

from detkds_gp.errors import FormulaError
from detkds_gp.language import (
    Distiller,
    distiller_from_json,
    make_distiller,
    make_term,
    parse_distiller,
    parse_tree,
    ramped_half_and_half,
)  # fmt: skip
from detkds_gp.primitives import DETKDS, OMNI

BOTH = "2 * 0.037 * l2(unit_channel(global)) + 1 * 1.2 * kl(softmax_row(class_logits, 2))"


def random_distillers(count: int) -> list[Distiller]:
    rng = random.Random(4)
    distillers = []
    for number in range(count):
        primitive_set = (OMNI, DETKDS)[number % 2]
        niches = rng.sample(primitive_set.niches, rng.randint(0, 2))
        terms = [
            make_term(
                ramped_half_and_half(primitive_set.niche(niche), rng, 1, 6), primitive_set,
                rng.choice((0.1, 2, 1 / 3, 50)), rng.choice((None, rng.random(), 1e-7, 12345.678)),
            )
            for niche in niches
        ]  # fmt: skip
        distillers.append(make_distiller(terms, primitive_set))
    return distillers


def test_text_and_json_read_back_equal():
    for number, distiller in enumerate(random_distillers(400)):
        primitive_set = (OMNI, DETKDS)[number % 2]
        assert parse_distiller(distiller.text, primitive_set) == distiller
        written = json.dumps(distiller.to_json())
        assert distiller_from_json(json.loads(written), primitive_set) == distiller


def test_json_names_the_parts():
    values = parse_distiller("3 * calibrated * l2(global)", OMNI).to_json()
    assert values == {
        "formula": "3 * calibrated * l2(global)",
        "terms": [{"knowledge": "global", "weight": 3.0, "scale": None, "tree": "l2(global)"}],
    }


@pytest.mark.parametrize("values", [None, [], "l2(global)", {}, {"formula": 3}, {"terms": []}])
def test_json_that_is_no_distiller_is_refused(values):
    with pytest.raises(FormulaError, match="wanted the values that"):
        distiller_from_json(values, OMNI)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (BOTH, BOTH),
        ("l2(global)", "1 * 1 * l2(global)"),
        ("3*l2(global)", "3 * 1 * l2(global)"),
        ("calibrated * l2(global)", "1 * calibrated * l2(global)"),
        ("2 * calibrated * scaled(l2(global), 3)", "2 * calibrated * l2(global)"),
        ("2 * 0.5 * scaled(l2(global), 3)", "2 * 1.5 * l2(global)"),
        ("l1(class_logits) + l2(global)", "1 * 1 * l2(global) + 1 * 1 * l1(class_logits)"),
        (" none ", "none"),
    ],
)
def test_the_canonical_text(text, canonical):
    assert parse_distiller(text, OMNI).text == canonical


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("2 * 3 * 4 * l2(global)", 8, "at most weight * scale"),
        ("calibrated * 2 * l2(global)", 13, "at most weight * scale"),
        ("0 * l2(global)", 0, "a weight is 0, wanted a positive number"),
        ("1e999 * l2(global)", 0, "a weight is 1e999"),
        ("-1 * l2(global)", 0, "a weight is -1"),
        ("2 l2(global)", 2, "got 'l2', wanted '*'"),
        ("l2(global) l1(class_logits)", 11, "wanted '+' between two terms"),
        ("l2(global) + l1(global)", 13, "two terms on 'global'"),
        ("l2(global) + l1(class_map) + l1(class_logits)", 29, "two terms on 'class_logits'"),
        ("l2(global) +", 12, "got 'the end', wanted a Loss"),
        ("none + l2(global)", 0, "unknown primitive 'none'"),
        ("add(l2(global), l1(class_map))", 0, "one knowledge, got class_logits and global"),
        (
            "l2(weighted(instance, foreground_mask))",
            0,
            "'foreground_mask' stands beside 'instance', wanted one of global",
        ),
        ("weighted_iou(proposals, box_score)", 0, "wanted one of localization; take proposal_score"),
        ("l2(weighted_rows(class_logits, box_score))", 0, "wanted one of localization; leave it out"),
        ("1e300 * 1e300 * l2(global)", 0, "weight times scale is inf"),
        ("1 * 1e308 * scaled(l2(global), 1000)", 0, "weight times scale is inf"),
        ("1e-300 * 1e-300 * l2(global)", 0, "weight times scale is 0.0"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(text, position, message):
    with pytest.raises(FormulaError) as caught:
        parse_distiller(text, OMNI)
    assert message in str(caught.value)
    assert caught.value.position == position


def test_scales_are_filled_in_once_measured():
    distiller = parse_distiller("2 * calibrated * l2(global) + 3 * 4 * l1(class_logits)", OMNI)
    assert distiller.uncalibrated == ("l2(global)",)
    measured = distiller.with_scales({"l2(global)": 0.25})
    assert measured.text == "2 * 0.25 * l2(global) + 3 * 4 * l1(class_logits)"
    assert measured.uncalibrated == ()


def test_cost_counts_operations_of_all_terms():
    assert parse_distiller(BOTH, OMNI).cost == 4
    assert parse_distiller("none", OMNI).cost == 0


def test_knowledge_is_the_niche_of_the_inputs():
    term = make_term(parse_tree("l2(class_map)", OMNI), OMNI)
    assert (term.knowledge, term.formula) == ("class_logits", "l2(class_map)")


def test_terms_stand_in_the_order_of_the_niches():
    text = "l2(mask_logits) + giou(boxes) + binary_kl(objectness) + l2(foreground) + l2(instance)"
    terms = parse_distiller(text, DETKDS).terms
    assert [term.knowledge for term in terms] == [
        "foreground_background", "instance", "localization", "objectness", "mask_logits",
    ]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [("weight", 5), ("scale", 2.0), ("tree", "l1(global)")])
def test_terms_that_were_edited_beside_the_formula_are_told(key, value):
    values = parse_distiller("3 * 1.5 * l2(global)", OMNI).to_json()
    values["terms"][0][key] = value
    with pytest.raises(FormulaError, match=f"terms have the {key} .* only the formula is read"):
        distiller_from_json(values, OMNI)
