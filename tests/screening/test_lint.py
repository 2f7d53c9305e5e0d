from __future__ import annotations

import random

import pytest
import torch
from torch.autograd import Function

from detkds_gp.errors import FormulaError
from detkds_gp.language import (
    Distance,
    Features,
    Loss,
    Map,
    PrimitiveSet,
    Transform,
    make_term,
    ramped_half_and_half,
    verdicts,
)
from detkds_gp.primitives import OMNI, distances, inputs
from detkds_gp.screening import lint


class _NanSlope(Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * torch.nan


def forced(name, function, arguments=(Map,), result=Map):
    """Declare without the contract, as no user can."""
    function.__doc__ = "Break the contract."
    verdicts._passed.add(function)
    if result is Loss:
        return Distance(name, arguments, result, function, latex="#1")
    return Transform(name, arguments, result, function, latex="#1", shape="n c h w -> n c h w")


BROKEN = PrimitiveSet(
    "BROKEN",
    [
        inputs.global_,
        distances.l2,
        forced("infinite", lambda x: x * torch.inf),
        forced("detached", lambda x: x.detach()),
        forced("flat", lambda x: x * 0),
        forced("steep", lambda x: _NanSlope.apply(x)),
        forced("offset", lambda s, t: (s - t).square().mean() + 1, (Features,), Loss),
        forced(
            "undefined",
            lambda s, t: (s - t).square().sum() / (s - t).square().sum(),
            (Features,),
            Loss,
        ),
        forced("misfit", lambda x: x @ x),
        forced("social", lambda x: x if len(x) > 1 else x @ x),
    ],
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("l2(infinite(global))", "finite: the loss or its gradient is not a finite number"),
        ("l2(detached(global))", "gradient: the student gets no gradient on a level"),
        ("l2(flat(global))", "gradient: the student gets no gradient on a level"),
        ("l2(steep(global))", "finite: the loss or its gradient is not a finite number"),
        ("offset(global)", "zero: the loss is not zero where the student equals the teacher, so it never ends (1 "),
        (
            "undefined(global)",
            "zero: the loss is not zero where the student equals the teacher, so it never ends (nan ",
        ),
        ("l2(misfit(global))", "shape: "),
    ],
)
def test_it_finds(text, problem):
    report = lint(text, BROKEN)
    assert any(found.startswith(problem) for found in report.problems), report.problems
    assert "\n" not in "".join(report.problems)


@pytest.mark.slow
def test_what_is_found_before_an_error_is_told():
    report = lint("l2(social(global))", BROKEN)
    assert report.problems[-1].startswith("shape: ")
    assert "finite" in {check.name for _, check, outcome in report.findings if outcome.passed}


def test_it_is_silent_on_300_random_formulas():
    rng = random.Random(7)
    noisy = {}
    for number in range(300):
        niche = OMNI.niche(OMNI.niches[number % len(OMNI.niches)])
        term = make_term(ramped_half_and_half(niche, rng, 1, 1 + number % 6), OMNI)
        report = lint(term.text, OMNI)
        if report.problems:
            noisy[term.text] = report.problems
    assert not noisy


@pytest.mark.parametrize(
    "text",
    [
        "l2_sum(weighted(global, foreground_mask))",
        "l2_sum(background) + l2(instance)",
        "kl(softmax_channel(weighted(class_map, teacher_score), 2))",
        "weighted_kl(softmax_row(box_bins, 10), box_score)",
        "l1(weighted_rows(box_bins, valuable_boxes))",
        "add(weighted_giou(boxes, valuable_boxes), l1(box_offsets(boxes)))",
        "binary_kl(objectness) + weighted_iou(proposals, proposal_score)",
        "l2(weighted(objectness_map, valuable_region))",
        "binary_kl(units(flatten_image(mask_logits), 1))",
        "ssim(weighted(cross_map, background_mask)) + l2(class_logits)",
        "weighted_binary_kl(units(cross_logits, 1))",
    ],
)
def test_every_knowledge_has_samples_that_fit_each_other(text):
    assert lint(text, OMNI).problems == ()


def test_bins_come_four_to_a_box():
    report = lint("weighted_kl(softmax_row(box_bins, 10), box_score)", OMNI)
    shapes = {step.text: step.shape for step in report.steps}
    assert (shapes["box_bins"], shapes["box_score"]) == ((792, 8), (198, 1))


def test_it_shows_every_step_with_kind_and_shape():
    report = lint("2 * calibrated * kl(softmax_space(max_pool_2(global), 1)) + l2(class_logits)", OMNI)
    assert [(step.text, step.kind, step.shape) for step in report.steps] == [
        ("global", "Map", (2, 8, 9, 11)),
        ("max_pool_2(global)", "Map", (2, 8, 5, 6)),
        ("softmax_space(max_pool_2(global), 1)", "Probs", (16, 30)),
        ("kl(softmax_space(max_pool_2(global), 1))", "Loss", ()),
        ("class_logits", "Rows", (198, 8)),
        ("l2(class_logits)", "Loss", ()),
    ]
    assert report.problems == ()
    assert "calibrated" in report.distiller.text


def test_nothing_to_check_is_no_problem():
    report = lint("none", OMNI)
    assert (report.steps, report.problems) == ((), ())


def test_a_broken_text_is_an_error():
    with pytest.raises(FormulaError):
        lint("l2(globe)", OMNI)


def test_it_leaves_torchs_generator_alone_and_repeats():
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    reports = [lint("l2(shared_mask(global, 0.5))", OMNI) for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert reports[0] == reports[1]
