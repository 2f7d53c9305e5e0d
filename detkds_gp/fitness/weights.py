"""Weights of students that are trained alone beforehand, in files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from detkds_gp.atomic import atomic_tensors
from detkds_gp.errors import StoreError, first_line


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return a state dict, on the CPU.

    Raises:
        StoreError: if the file is missing or broken.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise StoreError(
            f"cannot read the student {path}: {first_line(error)}; delete the file and start again"
        ) from error


def write_weights(module: nn.Module, path: Path) -> None:
    """Write a state dict, whole or not at all.

    Raises:
        StoreError: if the file cannot be written.
    """
    weights = module.state_dict()
    with atomic_tensors(path, "the student") as file:
        torch.save(weights, file)
