r"""Learned primitives: a transform with weights, trained with the student and no part of it.

    @learned(Map, Map, shape="n c h w -> n c h w", latex=r"R(#1)", sides="each")
    class context(nn.Module):
        '''Add to every position what the whole map says.'''

        def __init__(self, channels: int) -> None: ...
        def forward(self, x: Tensor) -> Tensor: ...

The class is made with the channels of what it takes, a module for each pyramid level. Its first
weights follow from a seed alone, and making it moves no random stream.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from detkds_gp.errors import DeclarationError
from detkds_gp.language.decorators import Kinds, declare
from detkds_gp.language.roles import Learned, Sides

if TYPE_CHECKING:
    from torch import nn


def learned(
    arguments: Kinds, result: type[Any], *, shape: str, latex: str, sides: Sides, random: bool = False
) -> Callable[[type[nn.Module]], Learned]:
    """Declare a module of (x, *shared), made with the channels of ``x`` (axis 1).

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


def build_part(declaration: Learned, channels: int, seed: int, name: str) -> nn.Module:
    """Make a module of a learned primitive.

    Its weights depend on the arguments alone, not on what else is made; torch's generators stay as
    they are.

    Args:
        declaration: of the primitive.
        channels: of what it takes.
        seed: of the training.
        name: tells it from the others of the same training.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(random.Random(f"{seed}/{name}").getrandbits(63))
        part: nn.Module = declaration.function(channels)
    return part
