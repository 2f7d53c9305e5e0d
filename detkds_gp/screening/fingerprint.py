"""Tells whether two formulas are the same loss: fingerprints of their gradients.

A fingerprint holds, for every probe and every tensor of the student, a random projection of the gradient, all
divided by one common norm. So two losses that differ by a positive factor have the same fingerprint; a loss and its
square root, whose gradients on any one batch are parallel, have not.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from detkds_gp.screening.evidence import Evidence
from detkds_gp.screening.probes import POINTS, REAL

WIDTH = 16
"""Numbers that a gradient on one tensor is projected to."""

TOLERANCE = 2e-5
"""Largest difference of two equal losses on any tensor of any probe, relative to the gradient there."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is left of a loss's gradients.

    Attributes:
        where: names of the student's tensors that the gradients reach.
        vectors: (probes x tensors, WIDTH), float32.
    """

    where: tuple[str, ...]
    vectors: np.ndarray

    @property
    def text(self) -> str:
        """Write it for the store; `parse` reads it back."""
        return f"{','.join(self.where)} {base64.b64encode(self.vectors.astype('<f4').tobytes()).decode()}"

    @classmethod
    def of(cls, evidence: Evidence) -> Fingerprint | None:
        """Return the fingerprint of a tree; those that shall be compared must come from probes of the same images.

        None where it says nothing: the tree draws or learns, or its gradient is not finite, or zero, somewhere.
        """
        if not evidence.determined:
            return None
        passes = [evidence.at(probe) for probe in evidence.probes.points()]
        where = [name for name in passes[0].leaves if any(_felt(p.leaves[name]) for p in passes)]
        vectors, square = [], 0.0
        for felt in passes:
            for gradient in (gradient for name in where for gradient in felt.leaves[name]):
                vectors.append(_projected(gradient))
                square += 0.0 if gradient is None else float(gradient.double().square().sum())
        if not 0 < square < float("inf"):
            return None
        return cls(tuple(where), (torch.stack(vectors) / square**0.5).float().cpu().numpy())

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Read what `text` wrote."""
        where, _, numbers = text.partition(" ")
        flat = np.frombuffer(base64.b64decode(numbers), "<f4")
        return cls(tuple(where.split(",")), flat.reshape(-1, WIDTH))

    def direction(self, numbers: int) -> tuple[float, ...]:
        """Return where the loss pulls the student on real batches, whatever its size.

        Those of losses that pull alike are near each other: distances are kept by a random projection, which depends on
        what is projected by its length alone.

        Args:
            numbers: how many the direction is told in.

        Returns:
            numbers of about length 1.
        """
        by_point = self.vectors.reshape(POINTS, -1)[list(REAL)].astype(np.float64)
        lengths = np.linalg.norm(by_point, axis=1, keepdims=True)
        flat = (by_point / np.where(lengths > 0, lengths, 1)).ravel() / len(REAL) ** 0.5
        return tuple(float(number) for number in (_projection(numbers, flat.size) @ flat).round(6))

    def same(self, other: Fingerprint) -> bool:
        """Whether the other is of the same loss, up to a positive factor."""
        if self.where != other.where or self.vectors.shape != other.vectors.shape:
            return False
        gaps = np.linalg.norm(self.vectors - other.vectors, axis=1)
        sizes = np.minimum(np.linalg.norm(self.vectors, axis=1), np.linalg.norm(other.vectors, axis=1))
        return bool((gaps <= TOLERANCE * sizes).all())


@lru_cache(maxsize=8)
def _projection(numbers: int, size: int) -> np.ndarray:
    """Return a matrix (numbers, size) that keeps distances, nearly; the same for the same size."""
    return np.random.default_rng(size).standard_normal((numbers, size)) / numbers**0.5


def _projected(gradient: Tensor | None) -> Tensor:
    if gradient is None or not gradient.numel():
        return torch.zeros(WIDTH, dtype=torch.float64)
    rows = _rows(gradient.numel()).to(gradient.device)
    return (rows @ gradient.flatten().float()).double().cpu()


@cache
def _rows(size: int) -> Tensor:
    """Return the matrix (WIDTH, size) that gradients of a size are projected by."""
    return torch.randn(WIDTH, size, generator=torch.Generator().manual_seed(size))


def _felt(gradients: list[Tensor | None]) -> bool:
    return any(gradient is not None and bool(gradient.any()) for gradient in gradients)
