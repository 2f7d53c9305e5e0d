"""Distiller text -> torch losses, and the checks before training."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
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

import_lazily(__name__)
