"""The kinds of value a formula passes on: the GP types, so that a wrong formula cannot be grown.

A *sided* value is a pair of tensors (student, teacher); a shared value is one tensor or number for
both. A primitive set may subclass kinds to fix an order of primitives: DEAP accepts a value
wherever its kind is a subclass of the kind asked for.
"""

from __future__ import annotations

from typing import ClassVar


class Kind:
    """Base of all kinds; never instantiated."""

    sided: ClassVar[bool] = False


class Features(Kind):
    """Map or Rows: axis 1 holds the features, every other axis counts positions or rows."""

    sided = True


class Map(Features):
    """(N, C, H, W): one pyramid level of a batch."""


class Rows(Features):
    """(M, D): M rows of D numbers; M may be 0."""


class Probs(Kind):
    """(M, D) log-probabilities: every row is a distribution."""

    sided = True


class Units(Kind):
    """(M, D) logits of independent probabilities (sigmoid(18.) is already exactly 1 in float32)."""

    sided = True


class Boxes(Kind):
    """(M, 4) boxes as x1, y1, x2, y2 in pixels of the padded image, decoded without clipping."""

    sided = True


class Field(Kind):
    """(N, 1 or C, H or 1, W or 1), never negative: masks, attention; it follows a map's size."""


class RowField(Kind):
    """(M, 1), never negative: one number for every row, such as a confidence for every box.

    Knowledge whose rows come k to each (the four sides of a box) repeats every number k times.
    """


class Number(Kind):
    """A constant; subclasses bound it."""

    low: ClassVar[float] = float("-inf")
    high: ClassVar[float] = float("inf")


class Temperature(Number):
    """Divides logits before a softmax or sigmoid."""

    low, high = 0.05, 100.0


class Factor(Number):
    """Multiplies a loss."""

    low, high = 1e-3, 1e3


class Ratio(Number):
    """A share of positions or channels, strictly between 0 and 1."""

    low, high = 0.01, 0.99


class Loss(Kind):
    """(): a scalar loss, zero where student and teacher agree."""


def typical(kind: type[Number]) -> float:
    """Return 1 where the kind allows it, else the middle of its range."""
    return 1.0 if kind.low <= 1 <= kind.high else (kind.low + kind.high) / 2
