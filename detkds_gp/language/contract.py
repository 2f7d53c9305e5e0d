"""The contract of a primitive, tried on small odd-sized tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from detkds_gp.errors import DeclarationError, named_line
from detkds_gp.language.declarations import Declaration
from detkds_gp.language.kinds import Boxes, Field, Probs, RowField, Rows, Units
from detkds_gp.language.roles import Distance, Learned, PairTransform, Shaped, Transform
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
    if not declaration.computes:
        return
    first = declaration.arguments[0]
    check = _check_distance if isinstance(declaration, Distance) else _check_values
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for size in sample_sizes(first):
            _run(check, declaration, size)
        if RowField in declaration.arguments and issubclass(first, (Rows, Probs, Units)):
            _run(_check_rows_repeat, declaration, (3 * REPEATS, 5))


def _run(check: Callable[..., None], declaration: Declaration, size: tuple[int, ...]) -> None:
    try:
        check(declaration, size)
    except DeclarationError:
        raise
    except Exception as error:
        raise DeclarationError(f"{declaration!r} fails on shape {size}: {named_line(error)}") from error


def _check_values(declaration: Shaped, size: tuple[int, ...]) -> None:
    """Try what turns a value, or both sides of one, into another."""
    call = _made_twice(declaration, size) if isinstance(declaration, Learned) else declaration
    pair = isinstance(declaration, PairTransform)
    for where, x, teacher in _cases(declaration, size):
        arguments = [x.requires_grad_(), *([teacher] if pair else []), *_shared(declaration, size)]
        outcome = call(*arguments)
        if pair and declaration.result.sided and not (isinstance(outcome, tuple) and len(outcome) == 2):
            got = type(outcome).__name__
            raise DeclarationError(f"{declaration!r} returns a {got}, wanted (student, teacher)")
        for value in outcome if pair and declaration.result.sided else (outcome,):
            _check_tensor(declaration, value, size, where)
            if isinstance(call, nn.Module):
                _check_weights(declaration, call, value, x, where)
            else:
                _check_gradient(declaration, value, x, where)
        if not declaration.random:
            _check_images_apart(declaration, call, arguments)


def _check_distance(declaration: Distance, size: tuple[int, ...]) -> None:
    for where, student, teacher in _cases(declaration, size):
        extra = _shared(declaration, size)
        for x, zero in ((student, size[0] == 0), (teacher, True)):
            x = x.detach().clone().requires_grad_()
            loss = declaration(x, teacher, *extra)
            _check_loss(declaration, loss, zero, f"{where} of shape {size}")
            _check_gradient(declaration, loss, x, where)
        _check_images_apart(declaration, declaration, [student, teacher, *extra])
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
    first, *shared = declaration.arguments
    call = declaration.made(size[1], 0, "contract") if isinstance(declaration, Learned) else declaration
    sides = [sample(first, size) for _ in range(1 if isinstance(declaration, (Transform, Learned)) else 2)]
    few = [sample(kind, (size[0] // REPEATS, 1)) for kind in shared]
    each = [f.repeat_interleave(REPEATS, 0) if issubclass(k, RowField) else f for k, f in zip(shared, few, strict=True)]
    if not all(map(torch.allclose, _tensors(call(*sides, *few)), _tensors(call(*sides, *each)))):
        raise DeclarationError(f"{declaration!r} does not repeat a field's number for rows that come {REPEATS} to each")


def _check_reaches_student(declaration: Distance, size: tuple[int, ...]) -> None:
    x = sample(declaration.arguments[0], size).requires_grad_()
    teacher = sample(declaration.arguments[0], size)
    loss = declaration(x, teacher, *_shared(declaration, size))
    if not loss.requires_grad or not torch.autograd.grad(loss, x)[0].any():
        raise DeclarationError(f"{declaration!r} gives the student no gradient")


def _made_twice(declaration: Learned, size: tuple[int, ...]) -> nn.Module:
    """Make the module twice, and refuse one whose first weights do not follow from the seed."""
    first, again = (declaration.made(size[1], 0, "contract") for _ in range(2))
    if not any(weight.requires_grad for weight in first.parameters()):
        raise DeclarationError(f"{declaration!r} has no weights to train; declare it with @transform")
    same = all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    if not same:
        got = "got other first weights of the same seed"
        raise DeclarationError(f"{declaration!r}: {got}; draw them from torch's global generator")
    return first


def _check_weights(declaration: Declaration, part: nn.Module, outcome: Tensor, x: Tensor, where: str) -> None:
    """Refuse a module that its weights or the student cannot be trained through."""
    if not outcome.requires_grad:
        raise DeclarationError(f"{declaration!r}: its result has no gradient {where}; do not detach it")
    reached = [x, *(weight for weight in part.parameters() if weight.requires_grad)]
    total = (outcome * torch.rand_like(outcome)).sum()
    found = torch.autograd.grad(total, reached, allow_unused=True)
    if any(gradient is not None and not gradient.isfinite().all() for gradient in found):
        raise DeclarationError(f"{declaration!r}: a gradient is not finite {where}; protect it")
    if outcome.numel() and (found[0] is None or all(gradient is None for gradient in found[1:])):
        missed = "the student" if found[0] is None else "its weights"
        raise DeclarationError(f"{declaration!r}: no gradient reaches {missed}; use them")


def _cases(declaration: Declaration, size: tuple[int, ...]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield values of both sides that a primitive has to bear, and where they come from."""
    kind = declaration.arguments[0]
    yield "on random values", sample(kind, size), sample(kind, size)
    if issubclass(kind, Probs):
        logits = 1e4 * torch.randn(2, *size)
        yield "near certainty", logits[0].log_softmax(dim=-1), logits[1].log_softmax(dim=-1)
    else:
        yield "at zero", torch.zeros(size), torch.zeros(size)
        yield "on large values", 1e4 * sample(kind, size), 1e4 * sample(kind, size)
    if issubclass(kind, Boxes):
        yield "with swapped corners", sample(kind, size).roll(2, dims=1), sample(kind, size)


def _shared(declaration: Declaration, size: tuple[int, ...]) -> list[Any]:
    """Draw what a primitive takes besides its first argument."""
    return [sample(kind, size) for kind in declaration.arguments[1:]]


def _check_tensor(declaration: Shaped, value: Any, size: tuple[int, ...], where: str) -> None:
    """Refuse a result of another shape than declared, or out of its kind."""
    wanted = declaration.shape_of(size)
    if not isinstance(value, Tensor) or tuple(value.shape) != wanted:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        says = f"its shape {declaration.shape!r} says {wanted}"
        raise DeclarationError(f"{declaration!r} on shape {size} returns {got}, {says}")
    if not torch.isfinite(value).all():
        raise DeclarationError(f"{declaration!r} is not finite {where} of shape {size}; protect it")
    if issubclass(declaration.result, (Field, RowField)) and (value < 0).any():
        raise DeclarationError(f"{declaration!r} is negative {where}; a {declaration.result.__name__} never is")
    if issubclass(declaration.result, Probs) and value.logsumexp(dim=1).abs().gt(1e-4).any():
        raise DeclarationError(f"{declaration!r} returns rows that are no log-probabilities")


def _check_gradient(declaration: Declaration, value: Tensor, x: Tensor, where: str) -> None:
    """Refuse a gradient that is not finite."""
    if value.requires_grad:
        (gradient,) = torch.autograd.grad((value * torch.rand_like(value)).sum(), x)
        if not torch.isfinite(gradient).all():
            raise DeclarationError(f"{declaration!r}: the gradient is not finite {where}; protect it")


def _check_images_apart(declaration: Declaration, call: Callable[..., Any], arguments: list[Any]) -> None:
    """Refuse what a batch given twice over changes: an image's result, or a loss."""
    doubled = call(*(torch.cat([a, a]) if isinstance(a, Tensor) else a for a in arguments))
    for one, two in zip(_tensors(call(*arguments)), _tensors(doubled), strict=True):
        rounding = 1e-5 * max(1.0, float(one.detach().abs().amax()) if one.numel() else 0.0)
        if not torch.allclose(two[: len(one)] if one.dim() else two, one, rtol=1e-3, atol=rounding):
            why = "it mixes images or draws at random"
            raise DeclarationError(f"{declaration!r} changes when the batch is doubled; {why}")


def _tensors(outcome: Any) -> tuple[Tensor, ...]:
    return outcome if isinstance(outcome, tuple) else (outcome,)
