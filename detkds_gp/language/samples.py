"""Sample values of every kind, on small odd sizes."""

from __future__ import annotations

from typing import Any

import torch

from detkds_gp.errors import DeclarationError
from detkds_gp.language.kinds import Boxes, Features, Field, Kind, Map, Number, Probs, RowField, Rows, Units, typical

MAP_SIZES = ((2, 3, 5, 7), (1, 4, 1, 1), (3, 2, 2, 1), (0, 4, 7, 7))
ROW_SIZES = ((5, 3), (1, 1), (0, 4))
BOX_SIZES = ((5, 4), (1, 4), (0, 4))
ROW_FIELD_SIZES = ((5, 1), (1, 1), (0, 1))


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
