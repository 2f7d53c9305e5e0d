"""Weights that a detector without ``init_weights()`` would take from whatever lay in the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def unset_as_nan() -> Iterator[None]:
    """Make memory that is allocated and not written hold NaN, as torch does for deterministic algorithms."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def draw_unset(model: nn.Module) -> None:
    """Draw the parameters that are NaN from a standard normal, as DINO's ``level_embed`` is in ``init_weights()``.

    Args:
        model: made under ``unset_as_nan``.
    """
    for parameter in model.parameters():
        if parameter.isnan().any():
            nn.init.normal_(parameter)
