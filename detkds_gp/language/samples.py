"""Sample values of every kind, on small odd sizes, and the shapes that a contract promises."""

from __future__ import annotations

import math
import re
from typing import Any

import torch

from detkds_gp.errors import DeclarationError
from detkds_gp.language.kinds import Boxes, Features, Field, Kind, Map, Number, Probs, RowField, Rows, Units, typical

MAP_SIZES = ((2, 3, 5, 7), (1, 4, 1, 1), (3, 2, 2, 1), (0, 4, 7, 7))
ROW_SIZES = ((5, 3), (1, 1), (0, 4))
BOX_SIZES = ((5, 4), (1, 4), (0, 4))
ROW_FIELD_SIZES = ((5, 1), (1, 1), (0, 1))


def result_shape(pattern: str, size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the result's shape for a first argument of shape ``size``.

    >>> result_shape("n c h w -> (n c) h/2", (2, 3, 5, 7))
    (6, 3)
    """
    left, arrow, right = pattern.partition("->")
    names = left.split()
    if not arrow or len(names) != len(size):
        got = f"a first argument of shape {size}"
        raise DeclarationError(f"shape {pattern!r} does not describe {got}")
    axes = dict(zip(names, size, strict=True))
    return tuple(_extent(token, axes) for token in re.findall(r"\([^)]*\)|\S+", right))


def _extent(token: str, axes: dict[str, int]) -> int:
    if token.startswith("("):
        return math.prod(_extent(part, axes) for part in token[1:-1].split())
    name, _, divisor = token.partition("/")
    value = int(name) if name.isdigit() else axes.get(name)
    if value is None:
        raise DeclarationError(f"unknown axis {name!r} in a shape; known: {', '.join(axes)}")
    return math.ceil(value / int(divisor or 1))


def sample(kind: type[Kind], size: tuple[int, ...]) -> Any:
    """Draw a value of ``kind``; sided kinds give one side's tensor of shape ``size``."""
    if issubclass(kind, Number):
        return typical(kind)
    if issubclass(kind, Field):
        return torch.rand(size[0], 1, *size[2:])
    if issubclass(kind, RowField):
        return torch.rand(size[0], 1)
    if issubclass(kind, Probs):
        return torch.log_softmax(torch.randn(size), dim=-1)
    if issubclass(kind, Boxes):
        corner = torch.rand(size[0], 2) * 20
        return torch.cat([corner, corner + 1 + torch.rand(size[0], 2) * 20], dim=1)
    return torch.randn(size)


def sample_sizes(kind: type[Kind]) -> tuple[tuple[int, ...], ...]:
    """Return the sizes that a first argument of a kind is tried on.

    Raises:
        DeclarationError: if no primitive can begin with it.
    """
    if issubclass(kind, Boxes):
        return BOX_SIZES
    if issubclass(kind, RowField):
        return ROW_FIELD_SIZES
    if issubclass(kind, (Map, Field)):
        return MAP_SIZES
    if issubclass(kind, (Rows, Probs, Units)):
        return ROW_SIZES
    if issubclass(kind, Features):
        return MAP_SIZES + ROW_SIZES
    raise DeclarationError(f"a primitive's first argument cannot be {kind.__name__}")
