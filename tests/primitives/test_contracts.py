"""Every primitive of OMNI against its oracle, on odd sizes, zeros and large values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detkds_gp.language import Boxes, Features, Field, Map, Number, Probs, RowField
from detkds_gp.language.contract import sample
from detkds_gp.language.roles import Constant, Distance, Input, Learned, PairTransform, Transform
from detkds_gp.primitives import DETKDS, OMNI

MAPS = [(2, 3, 5, 7), (1, 4, 1, 1), (3, 2, 2, 1), (1, 2, 2, 2), (1, 1, 17, 4)]
ROWS = [(5, 3), (1, 1), (7, 20), (1, 9)]
BOXES = [(5, 4), (1, 4), (9, 4)]
SCALES = {"small": 1e-3, "unit": 1.0, "large": 1e3}
ROLES = (Transform, PairTransform, Distance)
COMPUTED = [name for name, d in OMNI.declarations.items() if isinstance(d, ROLES) and not d.random]
DISTANCES = [n for n, d in OMNI.declarations.items() if isinstance(d, Distance)]
TRANSFORMS = [n for n, d in OMNI.declarations.items() if isinstance(d, Transform)]


def sizes(kind):
    return {Map: MAPS, Features: MAPS + ROWS, Boxes: BOXES}.get(kind, ROWS)


def draw(kind, size, scale=1.0):
    if issubclass(kind, Field):
        return torch.rand(size[0], 1, *size[2:]) * scale
    if issubclass(kind, RowField):
        return torch.rand(size[0], 1) + 0.01
    if issubclass(kind, Boxes):
        return sample(Boxes, size) * scale
    x = torch.randn(size) * scale
    return x.log_softmax(1) if issubclass(kind, Probs) else x


def shared(declaration, size):
    kinds = declaration.arguments[1:]
    return [0.5 if issubclass(kind, Number) else draw(kind, size) for kind in kinds]


def as_numpy(value):
    return value.detach().double().numpy() if isinstance(value, torch.Tensor) else value


def assert_close(ours, expected):
    if isinstance(ours, tuple):
        for side, wanted in zip(ours, expected, strict=True):
            assert_close(side, wanted)
        return
    expected = np.asarray(expected, dtype=float)
    assert tuple(ours.shape) == expected.shape
    rounding = max(1e-7, 2e-6 * float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(as_numpy(ours), expected, rtol=2e-4, atol=rounding)


def test_every_primitive_has_an_oracle(oracles):
    everything = {**DETKDS.declarations, **OMNI.declarations}
    called = {name: d for name, d in everything.items() if not isinstance(d, (Input, Constant, Learned))}
    assert set(called) == set(oracles)
    assert {n for n, d in called.items() if d.random} == {n for n, o in oracles.items() if not o}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", COMPUTED)
def test_it_agrees_with_its_oracle(oracles, name, scale):
    torch.manual_seed(len(name))
    declaration = OMNI.declarations[name]
    for size in sizes(declaration.arguments[0]):
        sides = 1 if isinstance(declaration, Transform) else 2
        x = [draw(declaration.arguments[0], size, SCALES[scale]) for _ in range(sides)]
        arguments = [*x, *shared(declaration, size)]
        assert_close(declaration(*arguments), oracles[name](*map(as_numpy, arguments)))


@pytest.mark.parametrize("name", [n for n in COMPUTED if OMNI.declarations[n].arguments[0] is not Probs])
def test_zeros_agree_with_the_oracle(oracles, name):
    declaration = OMNI.declarations[name]
    for size in sizes(declaration.arguments[0]):
        sides = 1 if isinstance(declaration, Transform) else 2
        arguments = [*[torch.zeros(size)] * sides, *shared(declaration, size)]
        assert_close(declaration(*arguments), oracles[name](*map(as_numpy, arguments)))


@pytest.mark.parametrize("name", ["add", "scaled"])
def test_combiners(oracles, name):
    a, b = torch.tensor(2.5), torch.tensor(0.75)
    arguments = (a, b) if name == "add" else (a, 3.0)
    assert_close(OMNI.declarations[name](*arguments), oracles[name](*map(as_numpy, arguments)))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_gradients_are_those_of_finite_differences(name):
    torch.manual_seed(1)
    declaration = OMNI.declarations[name]
    size = (2, 3, 2, 3) if declaration.arguments[0] is Map else (3, 4)
    x = draw(declaration.arguments[0], size).double().requires_grad_()
    extra = [a.double() if isinstance(a, torch.Tensor) else a for a in shared(declaration, size)]
    assert torch.autograd.gradcheck(lambda x: declaration(x, *extra), x, atol=1e-4, fast_mode=True)


@pytest.mark.parametrize(
    ("name", "slope"),
    [("signed_sqrt", 50), ("signed_log", 1), ("sigmoid", 0.25), ("swish", 0.5), ("tanh", 1),
     ("mish", 0.6), ("exp", 1), ("square", 0), ("fourth_power", 0)],
)  # fmt: skip
def test_the_slope_at_zero(name, slope):
    x = torch.zeros(1, 1, 1, 1, requires_grad=True)
    OMNI.declarations[name](x).sum().backward()
    assert x.grad.item() == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("name", ["unit_channel", "unit_space", "unit_row", "standardize_channel", "standardize_row"])
def test_norms_have_a_bounded_gradient_at_and_near_zero(name):
    size = (2, 3, 4, 5) if OMNI.declarations[name].arguments[0] is Map else (6, 5)
    for scale in (0, 1e-30, 1e-12, 1e-6):
        x = (torch.randn(size) * scale).requires_grad_()
        OMNI.declarations[name](x).sum().backward()
        assert x.grad.isfinite().all()
        assert x.grad.abs().max() <= 1.1e6 * 5


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("case", ["equal", "random", "large", "far", "zero", "one zero", "constant"])
def test_a_distance_is_never_negative_and_has_a_finite_gradient(name, case):
    torch.manual_seed(2)
    distance = OMNI.declarations[name]
    kind = distance.arguments[0]
    for size in sizes(kind):
        scale = {"large": 1e4, "far": 1e8}.get(case, 1.0)
        student, teacher = draw(kind, size, scale), draw(kind, size, scale)
        if case == "equal":
            teacher = student.clone()
        if case in ("zero", "constant"):
            student = teacher = torch.full(size, 0.0 if case == "zero" else 3.7)
        if case == "one zero":
            student = torch.zeros(size)
        if issubclass(kind, Probs):
            student, teacher = student.log_softmax(1), teacher.log_softmax(1)
        student = student.clone().requires_grad_()
        loss = distance(student, teacher, *shared(distance, size))
        assert loss.isfinite()
        assert loss.item() >= -1e-6
        if case in ("equal", "zero", "constant"):
            assert loss.item() <= 1e-6
        loss.backward()
        assert student.grad.isfinite().all()


@pytest.mark.parametrize("name", [n for n in DISTANCES if OMNI.declarations[n].arguments[0] is not Boxes])
def test_a_distance_reaches_every_part_of_the_student(name):
    torch.manual_seed(3)
    distance = OMNI.declarations[name]
    kind = distance.arguments[0]
    for size in {Map: [(2, 5, 3, 4)], Features: [(2, 5, 3, 4), (6, 5)]}.get(kind, [(6, 5)]):
        student = draw(kind, size).requires_grad_()
        distance(student, draw(kind, size), *shared(distance, size)).backward()
        assert (student.grad != 0).all()


@pytest.mark.parametrize("name", [n for n in DISTANCES if OMNI.declarations[n].arguments[0] is not Map])
def test_no_rows_give_zero_and_a_gradient_of_zeros(name):
    student = torch.zeros(0, 4, requires_grad=True)
    loss = OMNI.declarations[name](student, torch.zeros(0, 4), *shared(OMNI.declarations[name], (0, 4)))
    assert loss.item() == 0
    loss.backward()
    assert student.grad.shape == (0, 4)


ON_MAPS = [n for n in COMPUTED if issubclass(Map, OMNI.declarations[n].arguments[0])]


@pytest.mark.parametrize("name", [*ON_MAPS, "shared_mask", "shared_dropout"])
def test_a_batch_without_objects_gives_no_maps_and_no_loss(name):
    declaration = OMNI.declarations[name]
    size = (0, 4, 7, 7)
    x = torch.zeros(size, requires_grad=True)
    sides = [x] if isinstance(declaration, Transform) else [x, torch.zeros(size)]
    outcome = declaration(*sides, *shared(declaration, size))
    outcome = outcome[0] if isinstance(outcome, tuple) else outcome
    assert outcome.shape[:1] == (() if isinstance(declaration, Distance) else (0,))
    assert outcome.sum().item() == 0
    if outcome.requires_grad:
        outcome.sum().backward()
        assert x.grad.shape == size


@pytest.mark.parametrize("gap", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("name", ["kl", "binary_kl", "weighted_binary_kl"])
def test_divergences_survive_certainty(name, gap):
    student = torch.tensor([[gap, -gap, 0.0]], requires_grad=True)
    teacher = -student.detach()
    divergence = OMNI.declarations[name]
    sides = [x.log_softmax(1) if name == "kl" else x for x in (student, teacher)]
    loss = divergence(*sides)
    assert loss.item() == pytest.approx(2 * gap, rel=1e-4)
    loss.backward()
    assert student.grad.isfinite().all()
    assert student.grad.any()
