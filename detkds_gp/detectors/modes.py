"""Modes of a detector that is evaluated: they are restored afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Run the block in eval mode without grad, then give every submodule its own flag back.

    ``module.train()`` would not do: detectors override it (frozen stages, ``norm_eval``).
    """
    flags = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in flags:
            part.training = training
