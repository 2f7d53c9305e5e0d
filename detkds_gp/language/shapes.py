"""Shapes of values: what a declaration promises, and sizes to show a formula on."""

from __future__ import annotations

import math
import re

from detkds_gp.errors import DeclarationError
from detkds_gp.language.declarations import Declaration
from detkds_gp.language.kinds import Boxes, Field, Map, RowField, Rows
from detkds_gp.language.primitive_set import PrimitiveSet

IMAGES = 2
MAP_SIZE = (8, 9, 11)
ROWS, WIDTH = 99, 8
ROWS_A_BOX = 4  # left, top, right, bottom


def result_shape(pattern: str, size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the result's shape for a first argument of shape ``size``.

    Raises:
        DeclarationError: if the pattern describes no such argument, or its result has an axis of its own.

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


def sample_size(declaration: Declaration, primitive_set: PrimitiveSet, images: int = IMAGES) -> tuple[int, ...]:
    """Return the shape of one level of an input as formulas are shown on it.

    It fits the other inputs of its knowledge: rows beside fields of rows come four to a number.
    """
    kind = declaration.result
    if issubclass(kind, (Map, Field)):
        channels, *grid = MAP_SIZE
        return images, channels if issubclass(kind, Map) else 1, *grid
    if issubclass(kind, (Boxes, RowField)):
        return images * ROWS, 4 if issubclass(kind, Boxes) else 1
    inputs = [d for d in primitive_set.declarations.values() if issubclass(d.result, RowField)]
    shared = issubclass(kind, Rows) and any(field.belongs_to(declaration.niche) for field in inputs)
    return images * (ROWS * ROWS_A_BOX if shared else ROWS), WIDTH
