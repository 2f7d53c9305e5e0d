"""The contract of a learned primitive: what any module promises, whatever its weights become."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detkds_gp.errors import DeclarationError
from detkds_gp.language.contract_checks import cases, check_images_apart, check_tensor, shared
from detkds_gp.language.learned import build_part
from detkds_gp.language.roles import Learned


def check_learned(declaration: Learned, size: tuple[int, ...]) -> None:
    """Make the module for values of a size, and run it.

    Raises:
        DeclarationError: if it has no weights, is not repeatable, mixes images, or breaks its shape.
    """
    part = _made(declaration, size)
    for where, x, _ in cases(declaration, size):
        extra = shared(declaration, size)
        outcome = part(x.requires_grad_(), *extra)
        check_tensor(declaration, outcome, size, where)
        _check_gradients(declaration, part, outcome, x, where)
        if not declaration.random:
            check_images_apart(declaration, [x, *extra], [outcome], part)


def _made(declaration: Learned, size: tuple[int, ...]) -> nn.Module:
    """Make the module twice, and refuse one whose first weights do not follow from the seed."""
    first, again = (build_part(declaration, size[1], 0, "contract") for _ in range(2))
    if not any(weight.requires_grad for weight in first.parameters()):
        raise DeclarationError(f"{declaration!r} has no weights to train; declare it with @transform")
    same = all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    if not same:
        got = "got other first weights of the same seed"
        raise DeclarationError(f"{declaration!r}: {got}; draw them from torch's global generator")
    return first


def _check_gradients(declaration: Learned, part: nn.Module, outcome: Tensor, x: Tensor, where: str) -> None:
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
