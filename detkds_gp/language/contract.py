"""The contract of a primitive, tried on small odd-sized tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from detkds_gp.errors import DeclarationError, named_line
from detkds_gp.language.contract_checks import cases, check_gradient, check_images_apart, check_tensor, shared
from detkds_gp.language.declarations import Declaration
from detkds_gp.language.kinds import Boxes, Probs, RowField, Rows, Units
from detkds_gp.language.learned import build_part
from detkds_gp.language.learned_contract import check_learned
from detkds_gp.language.roles import Distance, Learned, PairTransform, Transform
from detkds_gp.language.samples import sample, sample_sizes

REPEATS = 4  # rows that share one number of a RowField
TOLERANCE = 1e-6


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: on small tensors several only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def check_contract(declaration: Declaration) -> None:
    """Run a declared primitive on sample tensors of its kinds, with one thread; torch's generator stays as it is.

    Raises:
        DeclarationError: if a shape, a value or a gradient breaks what the role promises.
    """
    if declaration.computes:
        first = declaration.arguments[0]
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for size in sample_sizes(first):
                _run(CHECKS[type(declaration)], declaration, size)
            if RowField in declaration.arguments and issubclass(first, (Rows, Probs, Units)):
                _run(_check_rows_repeat, declaration, (3 * REPEATS, 5))


def _run(check: Callable[..., None], declaration: Declaration, size: tuple[int, ...]) -> None:
    try:
        check(declaration, size)
    except DeclarationError:
        raise
    except Exception as error:
        raise DeclarationError(f"{declaration!r} fails on shape {size}: {named_line(error)}") from error


def _check_transform(declaration: Transform, size: tuple[int, ...]) -> None:
    for where, x, _ in cases(declaration, size):
        extra = shared(declaration, size)
        outcome = declaration(x.requires_grad_(), *extra)
        check_tensor(declaration, outcome, size, where)
        check_gradient(declaration, outcome, x, where)
        check_images_apart(declaration, [x, *extra], [outcome])


def _check_pair(declaration: PairTransform, size: tuple[int, ...]) -> None:
    for where, student, teacher in cases(declaration, size):
        extra = shared(declaration, size)
        outcome = declaration(student.requires_grad_(), teacher, *extra)
        if declaration.result.sided and not (isinstance(outcome, tuple) and len(outcome) == 2):
            got = type(outcome).__name__
            raise DeclarationError(f"{declaration!r} returns a {got}, wanted (student, teacher)")
        both = outcome if declaration.result.sided else (outcome,)
        for side in both:
            check_tensor(declaration, side, size, where)
            check_gradient(declaration, side, student, where)
        if not declaration.random:
            check_images_apart(declaration, [student, teacher, *extra], list(both))


def _check_distance(declaration: Distance, size: tuple[int, ...]) -> None:
    for where, student, teacher in cases(declaration, size):
        extra = shared(declaration, size)
        for x, zero in ((student, size[0] == 0), (teacher, True)):
            x = x.detach().clone().requires_grad_()
            loss = declaration(x, teacher, *extra)
            _check_loss(declaration, loss, zero, f"{where} of shape {size}")
            check_gradient(declaration, loss, x, where)
        check_images_apart(declaration, [student, teacher, *extra], [])
    if student.numel() > 4 and not issubclass(declaration.arguments[0], Boxes):
        _check_reaches_student(declaration, size)


def _check_loss(declaration: Distance, loss: Any, zero: bool, where: str) -> None:
    if not isinstance(loss, Tensor) or loss.shape != ():
        got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise DeclarationError(f"{declaration!r} returns {got}, wanted a scalar ()")
    value = loss.item()
    if not (math.isfinite(value) and -TOLERANCE <= value <= (TOLERANCE if zero else math.inf)):
        wanted = "0 where student equals teacher or nothing is compared" if zero else "a finite loss >= 0"
        raise DeclarationError(f"{declaration!r} is {value:.3g} {where}, wanted {wanted}")


def _check_rows_repeat(declaration: Declaration, size: tuple[int, ...]) -> None:
    """A field with a number for every four rows must act as one that repeats each number."""
    kinds = declaration.arguments
    call = build_part(declaration, size[1], 0, "contract") if isinstance(declaration, Learned) else declaration
    sides = [sample(kinds[0], size) for _ in range(1 if isinstance(declaration, (Transform, Learned)) else 2)]
    few = [sample(kind, (size[0] // REPEATS, 1)) for kind in kinds[1:]]
    each = [
        f.repeat_interleave(REPEATS, 0) if issubclass(k, RowField) else f for k, f in zip(kinds[1:], few, strict=True)
    ]
    outcomes = [call(*sides, *fields) for fields in (few, each)]
    short, full = (o if isinstance(o, tuple) else (o,) for o in outcomes)
    if not all(map(torch.allclose, short, full)):
        raise DeclarationError(f"{declaration!r} does not repeat a field's number for rows that come {REPEATS} to each")


def _check_reaches_student(declaration: Distance, size: tuple[int, ...]) -> None:
    x = sample(declaration.arguments[0], size).requires_grad_()
    teacher = sample(declaration.arguments[0], size)
    loss = declaration(x, teacher, *shared(declaration, size))
    if not loss.requires_grad or not torch.autograd.grad(loss, x)[0].any():
        raise DeclarationError(f"{declaration!r} gives the student no gradient")


CHECKS: dict[type[Declaration], Callable[..., None]] = {
    Transform: _check_transform,
    PairTransform: _check_pair,
    Learned: check_learned,
    Distance: _check_distance,
}
