"""Modes that hold for a block: detectors that are evaluated, silence, memory whose use without writing shows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import MMLogger
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


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what mmengine logs and warns of while a detector is built or loaded: the one place that says what is noise.

    Hidden: the list of every initialised parameter, "Loads checkpoint by ... backend", and all warnings raised
    meanwhile. Errors are not: they come out as exceptions.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def unset_as_nan() -> Iterator[None]:
    """Make memory that is allocated and not written hold NaN, as torch does for deterministic algorithms."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
