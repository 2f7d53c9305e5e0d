"""Distiller text -> torch losses, and the checks before training."""

from detkds_gp.losses.distillation_loss import (
    MACHINE_FAULTS,
    DistillationLoss,
    Knowledge,
    KnowledgeError,
    LossTerms,
)
from detkds_gp.losses.lint import LintReport, lint
from detkds_gp.losses.parts import Shapes, shapes_of

__all__ = [
    "MACHINE_FAULTS", "DistillationLoss", "Knowledge", "KnowledgeError", "LintReport", "LossTerms", "Shapes", "lint",
    "shapes_of",
]  # fmt: skip
