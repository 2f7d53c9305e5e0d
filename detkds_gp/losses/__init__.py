"""Distiller text -> torch losses, and the checks before training."""

from detkds_gp.losses.distillation_loss import (
    DistillationLoss,
    Knowledge,
    KnowledgeError,
    LossTerms,
)
from detkds_gp.losses.lint import LintReport, lint

__all__ = ["DistillationLoss", "Knowledge", "KnowledgeError", "LintReport", "LossTerms", "lint"]
