r"""Declare a primitive once: name, kinds, shape contract and LaTeX stand at its function.

The decorators return a `Declaration`, which is still callable as the plain function::

    @transform(Map, Map, shape="n c h w -> n c h w", latex=r"\widehat{#1}_{c}")
    def unit_channel(x: Tensor) -> Tensor:
        '''Scale the channel vector of every position to length 1.'''
        return F.normalize(x, dim=1)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from detkds_gp.errors import DeclarationError
from detkds_gp.language.declarations import NAME, RESERVED, Algebra, Declaration, KindType, checked_values
from detkds_gp.language.kinds import Loss, Number

Decorator = Callable[[Callable[..., Any]], Declaration]
Kinds = KindType | tuple[KindType, ...]
NO_ALGEBRA = Algebra()


def declare(function: Callable[..., Any], **fields: Any) -> Declaration:
    """Check what can be checked without running the function; see `verdicts` for its contract."""
    name = function.__name__.rstrip("_")
    if not NAME.fullmatch(name) or name in RESERVED:
        wanted = f"wanted letters, digits and _, and none of {', '.join(RESERVED)}"
        raise DeclarationError(f"primitive is called {name!r}, {wanted}; rename it")
    if not (function.__doc__ or "").strip():
        raise DeclarationError(f"primitive {name!r} has no docstring; say the effect in one line")
    declaration = Declaration(name=name, function=function, **fields)
    slots = {int(digit) for digit in re.findall(r"#(\d)", declaration.latex)}
    arity = len(declaration.arguments)
    if slots != set(range(1, arity + 1)):
        got = f"LaTeX of {name!r} is {declaration.latex!r}"
        raise DeclarationError(f"{got}, wanted #1 to #{arity} in it, its {arity} argument(s)")
    _check_sides(declaration)
    _check_algebra(declaration)
    return declaration


def _check_sides(declaration: Declaration) -> None:
    first = declaration.arguments[0] if declaration.arguments else None
    if declaration.computes and (first is None or (not first.sided and declaration.role != "transform")):
        wanted = f"the first argument of a {declaration.role} has two sides"
        raise DeclarationError(f"{declaration!r}: {wanted}")


def _check_algebra(declaration: Declaration) -> None:
    algebra, kinds = declaration.algebra, declaration.arguments
    if algebra.commutative and not (len(kinds) == 2 and kinds[0] is kinds[1] is declaration.result):
        raise DeclarationError(f"{declaration!r} cannot be commutative; wanted f(A, A) -> A")
    if algebra.idempotent and not (kinds and kinds[0] is declaration.result):
        raise DeclarationError(f"{declaration!r} cannot be idempotent; wanted f(A, ...) -> A")
    if algebra.multiplies:
        fits = len(kinds) == 2 and kinds[0] is declaration.result
        if not (fits and issubclass(kinds[1], Number) and 0 < kinds[1].low < 1 < kinds[1].high):
            raise DeclarationError(f"{declaration!r} cannot multiply; wanted f(A, Number) -> A")


def declares(role: str, arguments: Kinds, result: KindType, **fields: Any) -> Decorator:
    """Return what declares a function of some kinds; ``fields`` as `Declaration` has them."""
    kinds = arguments if isinstance(arguments, tuple) else (arguments,)
    return lambda function: declare(function, role=role, arguments=kinds, result=result, **fields)


def input(result: KindType, *, latex: str, niche: str | tuple[str, ...] = (), source: str = "") -> Decorator:
    """Declare what a formula can start from.

    Args:
        result: the kind of the value.
        latex: how formulas write it.
        niche: the knowledge it belongs to: one name for a sided input; for a shared one a name, a
            tuple of names, or nothing where every knowledge may use it.
        source: where detectors find it; defaults to the name.
    """

    def decorate(function: Callable[..., Any]) -> Declaration:
        where = source or function.__name__.rstrip("_")
        niches = _checked_niches(where, result, niche)
        return declares("input", (), result, niches=niches, source=where, latex=latex)(function)

    return decorate


def _checked_niches(name: str, kind: KindType, niche: str | tuple[str, ...]) -> tuple[str, ...]:
    niches = (niche,) if isinstance(niche, str) else tuple(niche)
    if not all(niches) or (kind.sided and len(niches) != 1):
        wanted = "the one knowledge it belongs to" if kind.sided else "names of knowledge, or nothing for every one"
        raise DeclarationError(f"input {name!r}: niche is {niche!r}, wanted {wanted}")
    return niches


def transform(
    arguments: Kinds, result: KindType, *, shape: str, latex: str, algebra: Algebra = NO_ALGEBRA
) -> Decorator:
    """Declare a function of one tensor (and shared values), applied to both sides alike."""
    return declares("transform", arguments, result, shape=shape, latex=latex, algebra=algebra)


def pair_transform(arguments: Kinds, result: KindType, *, shape: str, latex: str, random: bool = False) -> Decorator:
    """Declare a function of (student, teacher, *shared) that returns both, or one Field."""
    return declares("pair_transform", arguments, result, shape=shape, latex=latex, random=random)


def distance(arguments: Kinds, *, latex: str) -> Decorator:
    """Declare d(student, teacher, *shared) >= 0, d(x, x) = 0, with a finite gradient everywhere."""
    return declares("distance", arguments, Loss, latex=latex)


def combiner(arguments: Kinds, *, latex: str, algebra: Algebra = NO_ALGEBRA) -> Decorator:
    """Declare a function of losses and numbers that returns a loss."""
    return declares("combiner", arguments, Loss, latex=latex, algebra=algebra)


def constant(result: KindType, *, latex: str = "") -> Decorator:
    """Declare a grid of numbers that growth draws from; the function returns the grid."""

    def decorate(function: Callable[..., Any]) -> Declaration:
        values = checked_values(function.__name__, result, tuple(function()))
        return declares("constant", (), result, latex=latex, values=values)(function)

    return decorate
