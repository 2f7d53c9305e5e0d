"""The sizes of inputs that formulas are shown on."""

from __future__ import annotations

from detkds_gp.language.declarations import Declaration
from detkds_gp.language.kinds import Boxes, Field, Map, RowField, Rows
from detkds_gp.language.primitive_set import PrimitiveSet

IMAGES = 2
MAP_SIZE = (8, 9, 11)
ROWS, WIDTH = 99, 8
ROWS_A_BOX = 4  # left, top, right, bottom


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
