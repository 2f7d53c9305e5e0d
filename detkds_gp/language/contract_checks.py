"""What the contracts of all primitives share: the values that they are tried on, and what a result must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from detkds_gp.errors import DeclarationError
from detkds_gp.language.declarations import Declaration
from detkds_gp.language.kinds import Boxes, Field, Probs, RowField
from detkds_gp.language.roles import Shaped
from detkds_gp.language.samples import sample


def cases(declaration: Declaration, size: tuple[int, ...]) -> Iterator[tuple[str, Tensor, Tensor]]:
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


def shared(declaration: Declaration, size: tuple[int, ...]) -> list[Any]:
    """Draw what a primitive takes besides its first argument."""
    return [sample(kind, size) for kind in declaration.arguments[1:]]


def check_tensor(declaration: Shaped, value: Any, size: tuple[int, ...], where: str) -> None:
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


def check_gradient(declaration: Declaration, value: Tensor, x: Tensor, where: str) -> None:
    """Refuse a gradient that is not finite."""
    if value.requires_grad:
        (gradient,) = torch.autograd.grad((value * torch.rand_like(value)).sum(), x)
        if not torch.isfinite(gradient).all():
            raise DeclarationError(f"{declaration!r}: the gradient is not finite {where}; protect it")


def check_images_apart(
    declaration: Declaration, arguments: list[Any], outcomes: list[Tensor], call: Callable[..., Any] | None = None
) -> None:
    """Refuse what a batch given twice over changes: an image's result, or a loss."""
    call = call or declaration
    once = outcomes or [call(*arguments)]
    doubled = call(*(torch.cat([a, a]) if isinstance(a, Tensor) else a for a in arguments))
    twice = doubled if isinstance(doubled, tuple) else (doubled,)
    for one, two in zip(once, twice, strict=True):
        rounding = 1e-5 * max(1.0, float(one.detach().abs().amax()) if one.numel() else 0.0)
        if not torch.allclose(two[: len(one)] if one.dim() else two, one, rtol=1e-3, atol=rounding):
            why = "it mixes images or draws at random"
            raise DeclarationError(f"{declaration!r} changes when the batch is doubled; {why}")
