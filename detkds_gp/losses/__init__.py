"""Distiller text -> torch losses."""

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
    from detkds_gp.losses.program import Shapes, shapes_of

__all__ = [
    "MACHINE_FAULTS", "DistillationLoss", "Knowledge", "KnowledgeError", "LossTerms", "Shapes", "shapes_of",
]  # fmt: skip

import_lazily(__name__)
