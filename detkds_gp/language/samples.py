"""Sample values of every kind, the odd sizes that primitives are tried on, and those that formulas are shown on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from detkds_gp.errors import DeclarationError
from detkds_gp.language.kinds import Boxes, Features, Field, Kind, Map, Number, Probs, RowField, Rows, Units, typical
from detkds_gp.language.roles import Input

MAP_SIZES = ((2, 3, 5, 7), (1, 4, 1, 1), (3, 2, 2, 1), (0, 4, 7, 7))
ROW_SIZES = ((5, 3), (1, 1), (0, 4))
SIZES: tuple[tuple[tuple[type[Kind], ...], tuple[tuple[int, ...], ...]], ...] = (
    ((Boxes,), ((5, 4), (1, 4), (0, 4))),
    ((RowField,), ((5, 1), (1, 1), (0, 1))),
    ((Map, Field), MAP_SIZES),
    ((Rows, Probs, Units), ROW_SIZES),
    ((Features,), MAP_SIZES + ROW_SIZES),
)
"""The sizes that a first argument of some kinds is tried on; the first that fits counts."""

IMAGES = 2
SHOWN_MAP = (8, 9, 11)
ROWS, WIDTH = 99, 8
ROWS_A_BOX = 4  # left, top, right, bottom


def sample(kind: type[Kind], size: tuple[int, ...]) -> Any:
    """Draw a value of ``kind``; sided kinds give one side's tensor of shape ``size``."""
    import torch

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
    for kinds, sizes in SIZES:
        if issubclass(kind, kinds):
            return sizes
    raise DeclarationError(f"a primitive's first argument cannot be {kind.__name__}")


def sample_size(shown: Input, inputs: Iterable[Input], images: int = IMAGES) -> tuple[int, ...]:
    """Return the shape of one level of an input as formulas are shown on it.

    It fits the other inputs of its knowledge: rows beside fields of rows come four to a number.
    """
    kind = shown.result
    if issubclass(kind, (Map, Field)):
        channels, *grid = SHOWN_MAP
        return images, channels if issubclass(kind, Map) else 1, *grid
    if issubclass(kind, (Boxes, RowField)):
        return images * ROWS, 4 if issubclass(kind, Boxes) else 1
    fields = (other for other in inputs if issubclass(other.result, RowField))
    counted = issubclass(kind, Rows) and any(field.belongs_to(shown.niche) for field in fields)
    return images * (ROWS * ROWS_A_BOX if counted else ROWS), WIDTH


def sample_knowledge(inputs: Sequence[Input], images: int = IMAGES) -> dict[str, list[tuple[Any, Any]]]:
    """Draw (student, teacher) of one level of every input; the student's side wants a gradient."""
    knowledge: dict[str, list[tuple[Any, Any]]] = {}
    for declaration in inputs:
        size = sample_size(declaration, inputs, images)
        student, teacher = sample(declaration.result, size), sample(declaration.result, size)
        knowledge[declaration.name] = [(student.requires_grad_(), teacher)]
    return knowledge
