from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from detkds_gp.errors import DeclarationError
from detkds_gp.language import (
    Boxes,
    Features,
    Field,
    Map,
    Probs,
    RowField,
    Rows,
    Transform,
    distance,
    pair_transform,
    transform,
)  # fmt: skip
from detkds_gp.language.contract import check_contract

SAME = "n c h w -> n c h w"


def tried(declaration):
    check_contract(declaration)
    return declaration


def declare_map(function, **fields):
    function.__doc__ = "Change a map."
    return tried(transform(Map, Map, **{"shape": SAME, "latex": "#1", **fields})(function))


def declare_distance(function, kind=Features):
    function.__doc__ = "Compare."
    return tried(distance(kind, latex="#1")(function))


def lambda_named(name, function):
    function.__name__ = name
    return function


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (lambda x: x.flatten(1), SAME, r"on shape \(2, 3, 5, 7\) returns \(2, 105\)"),
        (lambda x: x[..., ::2], "n c h w -> n c h w/2", None),
        (lambda x: x[..., 1::2], "n c h w -> n c h w/2", r"says \(2, 3, 5, 4\)"),
        (lambda x: x, "n c h w -> n k h w", "unknown axis 'k'"),
        (lambda x: x, "m d -> m d", "does not describe a first argument of shape"),
        (lambda x: x, "", "does not describe"),
        (lambda x: x.mean().item(), SAME, "returns float"),
        (lambda x: F.max_pool2d(x, 2), "n c h w -> n c h/2 w/2", "says"),
        (lambda x: F.avg_pool2d(x, 3, 1, 0), SAME, "returns"),
        (lambda x: x.view(7, -1), SAME, "returns"),
        (lambda x: x @ x, SAME, r"fails on shape \(2, 3, 5, 7\): RuntimeError"),
    ],
)
def test_a_broken_shape_contract(function, shape, message):
    function.__name__ = "broken"
    if message is None:
        assert declare_map(function, shape=shape)
        return
    with pytest.raises(DeclarationError, match=message):
        declare_map(function, shape=shape)


def test_a_primitive_that_raises_on_1x1_maps_is_a_declaration_error():
    def pooled(x):
        return F.interpolate(F.max_pool2d(x, 2), x.shape[2:]) if x.shape[3] > 1 else F.max_pool2d(x, 2)

    with pytest.raises(DeclarationError, match=r"fails on shape \(1, 4, 1, 1\): RuntimeError"):
        declare_map(pooled)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.log(), "is not finite on random values"),
        (lambda x: 1 / x, "is not finite at zero"),
        (lambda x: x.exp(), "is not finite on large values"),
        (lambda x: x.abs().sqrt(), "gradient is not finite at zero"),
        (lambda x: x / x.norm(dim=1, keepdim=True).clamp_min(0), "is not finite at zero"),
        (lambda x: x * x.square().sum(1, keepdim=True).sqrt(), "gradient is not finite at zero"),
        (lambda x: x.softmax(dim=0), "mixes images"),
        (lambda x: F.normalize(x, dim=0), "mixes images"),
        (lambda x: x.shape[0] * x, "mixes images"),
        (lambda x: F.dropout(x, 0.5), "draws at random"),
    ],
)
def test_a_map_that_is_not_finite_or_mixes_images(function, message):
    function.__name__ = "broken"
    with pytest.raises(DeclarationError, match=message):
        declare_map(function)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda s, t: (s - t).square(), r"wanted a scalar \(\)"),
        (lambda s, t: 3.0, "returns float, wanted a scalar"),
        (lambda s, t: (s - t).square().mean() + 1, "wanted 0 where student equals teacher"),
        (
            lambda s, t: s.square().sum() / max(1, s.numel()),
            "wanted 0 where student equals teacher",
        ),
        (lambda s, t: (s - t).sum() / max(1, s.numel()), "wanted a finite loss >= 0"),
        (lambda s, t: -(s - t).square().sum() / max(1, s.numel()), "wanted a finite loss >= 0"),
        (lambda s, t: (s - t).square().mean(), "nan on random values"),
        (lambda s, t: ((s - t) * 1e30).square().sum(), "is inf"),
        (lambda s, t: (s - t).square().sum().sqrt(), "gradient is not finite"),
        (lambda s, t: (s - t).square().sum(), "mixes images"),
        (lambda s, t: (s - t).detach().square().sum() / max(1, s.numel()), "no gradient"),
        (lambda s, t: F.cosine_similarity(s, t).sum() / max(1, len(s)), "wanted"),
    ],
)
def test_a_distance_that_breaks_its_contract(function, message):
    function.__name__ = "broken"
    with pytest.raises(DeclarationError, match=message):
        declare_distance(function)


def test_a_distance_of_boxes_is_zero_also_where_they_have_no_area():
    from torchvision.ops import complete_box_iou_loss, generalized_box_iou_loss

    for function in (generalized_box_iou_loss, complete_box_iou_loss):

        def boxes(student, teacher, function=function):
            """Compare boxes."""
            return function(student, teacher).sum() / max(1, len(student))

        with pytest.raises(DeclarationError, match=r"is (1|nan) at zero of shape \(5, 4\), wanted"):
            tried(distance(Boxes, latex="#1")(boxes))


def test_probabilities_that_are_no_log_probabilities():
    def softmax(x):
        """Make a distribution, but not its logarithm."""
        return x.softmax(dim=1)

    with pytest.raises(DeclarationError, match="no log-probabilities"):
        tried(transform(Rows, Probs, shape="m d -> m d", latex="#1")(softmax))


def test_a_field_that_is_negative():
    def gap(student, teacher):
        """Take the difference."""
        return (student - teacher).mean(dim=1, keepdim=True)

    with pytest.raises(DeclarationError, match="is negative"):
        tried(pair_transform(Map, Field, shape="n c h w -> n 1 h w", latex="#1")(gap))


def test_a_pair_transform_that_returns_one_side():
    def lonely(student, teacher):
        """Return the student only."""
        return student

    with pytest.raises(DeclarationError, match=r"returns a Tensor, wanted \(student, teacher\)"):
        tried(pair_transform(Map, Map, shape=SAME, latex="#1")(lonely))


def test_trying_leaves_torchs_generator_and_threads_alone():
    torch.manual_seed(9)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    declare_map(lambda_named("fine", lambda x: x.tanh()))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_batch_of_no_maps_is_part_of_the_contract():
    with pytest.raises(
        DeclarationError,
        match=r"is nan on random values of shape \(0, 4, 7, 7\), wanted 0 where .* nothing is compared",
    ):
        declare_distance(lambda_named("summed", lambda s, t: (s - t).square().sum() / len(s)), Map)


@pytest.mark.parametrize("kind", [Rows, Probs])
def test_a_field_of_rows_is_repeated_for_rows_that_come_k_to_a_number(kind):
    def repeats(student, teacher, field):
        """Weigh rows."""
        weights = field.repeat_interleave(len(student) // max(1, len(field)), 0)
        return ((student - teacher).square() * weights).sum() / max(1, student.numel())

    tried(distance((kind, RowField), latex="#1 #2")(repeats))

    def tiles(student, teacher, field):
        """Weigh rows in another order."""
        weights = field.repeat(len(student) // max(1, len(field)), 1)
        return ((student - teacher).square() * weights).sum() / max(1, student.numel())

    with pytest.raises(DeclarationError, match="does not repeat a field's number for rows that come 4 to each"):
        tried(distance((kind, RowField), latex="#1 #2")(tiles))


def test_boxes_with_swapped_corners_are_part_of_the_contract():
    def areas(student, teacher):
        """Compare areas."""
        gap = (student - teacher).square().sum(dim=1)
        spread = (student[:, 2] - student[:, 0] + 1e-3).log() ** 2 * (gap > 0)
        return spread.sum() / max(1, len(gap))

    with pytest.raises(DeclarationError, match="is nan with swapped corners"):
        tried(distance(Boxes, latex="#1")(areas))


@pytest.mark.parametrize(
    ("pattern", "size", "expected"),
    [
        ("n c h w -> n c h/2 w/2", (2, 3, 5, 1), (2, 3, 3, 1)),
        ("n c h w -> (n c) (h w)", (2, 3, 5, 7), (6, 35)),
        ("n c h w -> (n c h/4 w/4) 16", (2, 3, 5, 7), (24, 16)),
        ("m d -> m 1", (0, 4), (0, 1)),
    ],
)
def test_result_shape(pattern, size, expected):
    assert Transform("changed", (Map,), Map, torch.relu, "#1", pattern).shape_of(size) == expected
