"""DETKDS is the paper's cascade attention -> scale -> norm -> distance, every slot optional."""

from __future__ import annotations

from itertools import product

import pytest

from detkds_gp.errors import FormulaError
from detkds_gp.language import Input, RowField, parse_tree
from detkds_gp.primitives import DETKDS

ATTENTION = {
    "spatial_attention": 1,
    "channel_attention": 1,
    "shared_mask": 0.5,
    "shared_dropout": 0.1,
}
SCALE = ("max_pool_2", "max_pool_4")
PATCHES = ("patches_2", "patches_4")
MAP_NORM = (
    "unit_channel", "unit_space", "standardize_channel", "signed_sqrt", "signed_log", "square",
    "fourth_power", "absolute", "sigmoid", "swish", "tanh", "relu", "leaky_relu", "mish", "exp",
)  # fmt: skip
GRAM = ("channel_gram", "space_gram")
ROW_NORM = ("unit_row", "standardize_row")
MAPS = (
    "global", "foreground", "background", "instance", "class_map", "objectness_map", "mask_logits", "cross_map",
    "memory",
)  # fmt: skip
ROWS = {
    "class_logits": (), "cross_logits": (), "box_bins": ("box_score", "valuable_boxes"),
    "box_offsets(boxes)": ("box_score", "valuable_boxes"), "box_offsets(proposals)": ("proposal_score",),
    "query_logits": ("query_score",), "box_offsets(query_boxes)": ("query_score",),
    "predicted_logits": ("predicted_score",), "box_offsets(predicted_boxes)": ("predicted_score",),
}  # fmt: skip
"""By what rows a chain starts from, the fields that weigh them."""
BOXES = {
    "boxes": ("box_score", "valuable_boxes"), "proposals": ("proposal_score",),
    "query_boxes": ("query_score",), "predicted_boxes": ("predicted_score",),
}  # fmt: skip
ELEMENTWISE = ("l1", "l2", "smooth_l1", "cosine", "pearson")
MAP_ONLY = ("l1_sum", "l2_sum", "ssim")


def chain(*calls: str | tuple[str, float | str], leaf: str) -> str:
    text = leaf
    for call in calls:
        name, number = call if isinstance(call, tuple) else (call, None)
        text = f"{name}({text})" if number is None else f"{name}({text}, {number})"
    return text


def paper_formulas() -> set[str]:
    """Every chain of the paper, written slot by slot, with one number for each primitive."""
    formulas = set()
    attentions = [(), *([item] for item in ATTENTION.items())]
    for leaf, attention in product(MAPS, attentions):
        for scale in [(), *([name] for name in SCALE)]:
            front = (*attention, *scale)
            for norm in [(), *([name] for name in MAP_NORM)]:
                formulas |= {chain(*front, *norm, d, leaf=leaf) for d in ELEMENTWISE + MAP_ONLY}
            formulas |= {chain(*front, g, d, leaf=leaf) for g, d in product(GRAM, ELEMENTWISE)}
            for softmax in ("softmax_space", "softmax_channel"):
                formulas.add(chain(*front, (softmax, 2), "kl", leaf=leaf))
        for patches in PATCHES:
            formulas |= rows_formulas(leaf, (*attention, patches))
    for leaf, fields in ROWS.items():
        formulas |= rows_formulas(leaf, ())
        formulas |= {chain(("softmax_row", 2), ("weighted_kl", field), leaf=leaf) for field in fields}
    for leaf, fields in BOXES.items():
        formulas |= {chain(name, leaf=leaf) for name in ("iou", "giou")}
        formulas |= {chain((f"weighted_{n}", field), leaf=leaf) for n, field in product(("iou", "giou"), fields)}
    return formulas | {"binary_kl(objectness)"}


def rows_formulas(leaf: str, front: tuple) -> set[str]:
    norms = [(), *([name] for name in ROW_NORM)]
    plain = {chain(*front, *n, d, leaf=leaf) for n, d in product(norms, ELEMENTWISE)}
    return plain | {
        chain(*front, ("softmax_row", 2), "kl", leaf=leaf),
        chain(*front, ("units", 2), "binary_kl", leaf=leaf),
    }


def enumerate_from_kinds() -> set[str]:
    """Every formula that can be grown of the set, breadth first; numbers as in `paper_formulas`."""
    numbers = {
        **ATTENTION,
        **dict.fromkeys(("softmax_space", "softmax_channel", "softmax_row", "units"), 2),
    }
    formulas = set()
    for niche in DETKDS.niches:
        declarations = [d for d in DETKDS.niche(niche).declarations.values() if d.name not in DETKDS.known]
        fields = [d.name for d in declarations if d.result is RowField]
        found = [(d.name, d.result) for d in declarations if isinstance(d, Input)]
        for text, kind in found:
            for d in declarations:
                if d.arguments and issubclass(kind, d.arguments[0]):
                    seconds = fields if d.arguments[-1] is RowField else [numbers.get(d.name)]
                    found += [(chain((d.name, second), leaf=text), d.result) for second in seconds]
        formulas |= {text for text, kind in found if kind.__name__ == "Loss"}
    return formulas


def test_the_kinds_allow_exactly_the_papers_chains():
    assert enumerate_from_kinds() == paper_formulas()
    assert len(paper_formulas()) > 3000


def test_every_chain_is_read():
    for text in paper_formulas():
        assert parse_tree(text, DETKDS)


@pytest.mark.parametrize("late", ["max_pool_2", "unit_channel", "relu", "spatial_attention"])
@pytest.mark.parametrize("early", ["spatial_attention", "channel_attention", "shared_mask", "max_pool_4"])
def test_a_wrong_order_is_refused(early, late):
    order = {**dict.fromkeys(ATTENTION, 0), **dict.fromkeys(SCALE, 1)}
    inner = (late, ATTENTION.get(late))
    outer = (early, ATTENTION.get(early))
    text = chain(inner, outer, "l2", leaf="global")
    if order.get(late, 2) < order[early]:
        assert parse_tree(text, DETKDS)
        return
    with pytest.raises(FormulaError, match=f"'{early}' takes (Raw|Attended), but '{late}' returns"):
        parse_tree(text, DETKDS)


@pytest.mark.parametrize(
    "text",
    [
        "l2(relu(relu(global)))",
        "l2(max_pool_2(max_pool_2(global)))",
        "kl(global)",
        "kl(softmax_space(relu(global), 1))",
        "l2(softmax_space(global, 1))",
        "l2(unit_row(channel_gram(global)))",
    ],
)
def test_a_slot_is_filled_once(text):
    with pytest.raises(FormulaError):
        parse_tree(text, DETKDS)


def test_sums_of_distances_can_be_written_and_are_never_grown():
    assert parse_tree("add(l1(global), l2(global))", DETKDS)
    assert "add" in DETKDS.known
