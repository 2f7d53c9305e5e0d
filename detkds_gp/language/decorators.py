"""Declare a primitive once: name, kinds, shape contract and LaTeX stand at its function, which stays callable."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from detkds_gp.errors import DeclarationError
from detkds_gp.language.declarations import NO_ALGEBRA, Algebra, D, KindType
from detkds_gp.language.kinds import Loss
from detkds_gp.language.roles import Combiner, Constant, Distance, Input, Learned, PairTransform, Sides, Transform

if TYPE_CHECKING:
    from torch import nn

Kinds = KindType | tuple[KindType, ...]
Decorator = Callable[[Callable[..., Any]], D]


def declare(role: type[D], function: Callable[..., Any], arguments: Kinds, result: KindType, **fields: Any) -> D:
    """Make a declaration of a role, and refuse what is wrong without running the function."""
    kinds = arguments if isinstance(arguments, tuple) else (arguments,)
    name = function.__name__.rstrip("_")
    declaration = role(name=name, arguments=kinds, result=result, function=function, **fields)
    declaration.check()
    return declaration


def declares(role: type[D], arguments: Kinds, result: KindType, **fields: Any) -> Decorator[D]:
    """Return what declares a function of some kinds; ``fields`` as the role has them."""
    return lambda function: declare(role, function, arguments, result, **fields)


def input(result: KindType, *, latex: str, niche: str | tuple[str, ...] = (), source: str = "") -> Decorator[Input]:
    """Declare what a formula can start from.

    Args:
        result: the kind of the value.
        latex: how formulas write it.
        niche: the knowledge it belongs to: one name for a sided input; for a shared one a name, a
            tuple of names, or nothing where every knowledge may use it.
        source: where detectors find it; defaults to the name.
    """
    niches = (niche,) if isinstance(niche, str) else tuple(niche)

    def decorate(function: Callable[..., Any]) -> Input:
        where = source or function.__name__.rstrip("_")
        return declare(Input, function, (), result, niches=niches, source=where, latex=latex)

    return decorate


def transform(
    arguments: Kinds, result: KindType, *, shape: str, latex: str, algebra: Algebra = NO_ALGEBRA
) -> Decorator[Transform]:
    """Declare a function of one tensor (and shared values), applied to both sides alike."""
    return declares(Transform, arguments, result, shape=shape, latex=latex, algebra=algebra)


def pair_transform(
    arguments: Kinds, result: KindType, *, shape: str, latex: str, random: bool = False
) -> Decorator[PairTransform]:
    """Declare a function of (student, teacher, *shared) that returns both, or one Field."""
    return declares(PairTransform, arguments, result, shape=shape, latex=latex, random=random)


def distance(arguments: Kinds, *, latex: str) -> Decorator[Distance]:
    """Declare d(student, teacher, *shared) >= 0, d(x, x) = 0, with a finite gradient everywhere."""
    return declares(Distance, arguments, Loss, latex=latex)


def combiner(arguments: Kinds, *, latex: str, algebra: Algebra = NO_ALGEBRA) -> Decorator[Combiner]:
    """Declare a function of losses and numbers that returns a loss."""
    return declares(Combiner, arguments, Loss, latex=latex, algebra=algebra)


def constant(result: KindType, *, latex: str = "") -> Decorator[Constant]:
    """Declare a grid of numbers that growth draws from; the function returns the grid."""
    return lambda function: declare(Constant, function, (), result, latex=latex, values=tuple(map(float, function())))


def learned(
    arguments: Kinds, result: type[Any], *, shape: str, latex: str, sides: Sides, random: bool = False
) -> Callable[[type[nn.Module]], Learned]:
    """Declare a transform with weights: a module of (x, *shared), trained with the student and no part of it.

    The class is made with the channels of ``x`` (axis 1), one module for each pyramid level. Its first weights follow
    from a seed alone, and making it moves no random stream.

    Args:
        arguments: the kinds it takes; only the first has two sides.
        result: the kind it returns.
        shape: of ``x`` and of the result.
        latex: with ``#1``..``#n`` for the arguments.
        sides: ``student``: the teacher's value passes by unchanged; ``each``: every side has a module
            of its own; both start with the same weights.
        random: whether it draws random numbers.
    """
    from torch import nn

    def decorate(module: type[nn.Module]) -> Learned:
        if not (isinstance(module, type) and issubclass(module, nn.Module)):
            raise DeclarationError(f"learned primitive {module!r} is no class derived from torch.nn.Module")
        if not module.__dict__.get("__doc__"):
            module.__doc__ = None  # else torch's own would stand for it
        return declare(Learned, module, arguments, result, shape=shape, latex=latex, sides=sides, random=random)

    return decorate
