"""Distiller text -> torch losses, and the checks before training."""

from detkds_gp.losses.distillation_loss import (
    MACHINE_FAULTS,
    DistillationLoss,
    Knowledge,
    KnowledgeError,
    LossTerms,
)
from detkds_gp.losses.lint import LintReport, lint

__all__ = ["MACHINE_FAULTS", "DistillationLoss", "Knowledge", "KnowledgeError", "LintReport", "LossTerms", "lint"]
