"""Shapes that declarations promise."""

from __future__ import annotations

import math
import re

from detkds_gp.errors import DeclarationError


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
