from __future__ import annotations

from dataclasses import replace

import pytest

from detkds_gp.export.shapes import sample_shapes, shape_text
from detkds_gp.language import Map, parse_tree, transform
from detkds_gp.primitives import OMNI
from detkds_gp.screening import lint


@pytest.mark.slow
def test_shapes_are_those_that_lint_reports(random_distillers):
    for distiller in random_distillers:
        trees = [term.tree for term in distiller.terms]
        report = lint(distiller.text, OMNI)
        assert sample_shapes(trees, OMNI) == {step.text: step.shape for step in report.steps}


def test_numbers_have_no_shape():
    shapes = sample_shapes([parse_tree("kl(softmax_row(class_logits, 2))", OMNI)], OMNI)
    assert shapes == {
        "class_logits": (198, 8),
        "softmax_row(class_logits, 2)": (198, 8),
        "kl(softmax_row(class_logits, 2))": (),
    }


@transform(Map, Map, shape="n c h w -> n c h w/2", latex="P(#1)")
def picky(x):
    """Halve maps of at most seven columns."""
    if x.shape[-1] > 7:
        raise ValueError("too wide")
    return x[..., ::2]


def test_what_cannot_be_computed_has_the_shape_that_it_declares():
    tree = parse_tree("l2(relu(picky(global)))", OMNI.extended("PICKY", picky))
    assert sample_shapes([tree], OMNI.extended("PICKY", picky)) == {
        "global": (2, 8, 9, 11),
        "picky(global)": (2, 8, 9, 6),
        "relu(picky(global))": (2, 8, 9, 6),
        "l2(relu(picky(global)))": (),
    }


def test_what_no_declared_shape_fits_has_none_and_spoils_no_other():
    declared = OMNI.declarations["relu"]
    misfit = replace(declared, name="misfit", shape="m d -> m d")
    own = OMNI.extended("MISFIT", misfit)
    trees = [parse_tree(f"l2({name}(global))", own) for name in ("misfit", "relu")]
    assert set(sample_shapes(trees, own)) == {"global", "l2(misfit(global))", "relu(global)", "l2(relu(global))"}


def test_drawing_random_masks_leaves_the_generator_alone():
    import torch

    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    sample_shapes([parse_tree("l2(shared_mask(global, 0.5))", OMNI)], OMNI)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("shape", "text"), [((2, 8, 9, 11), "2×8×9×11"), ((198, 8), "198×8"), ((), "()"), (None, "")])
def test_shape_text(shape, text):
    assert shape_text(shape) == text
