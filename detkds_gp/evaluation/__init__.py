"""Evaluation: scores and scales from the store where they are recorded, else from workers; screenings from these."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.evaluation.interrupt import Interrupt, Stopped
    from detkds_gp.evaluation.packing import Packing, pack_size
    from detkds_gp.evaluation.question import UNLIMITED, Allowance, Evaluator, Question, candidates_to
    from detkds_gp.evaluation.service import EvaluationService
    from detkds_gp.evaluation.units import Scales, in_units, starting, weighed
    from detkds_gp.evaluation.workers import executor_class, make_executor, worker_count

__all__ = [
    "UNLIMITED", "Allowance", "EvaluationService", "Evaluator", "Interrupt", "Packing", "Question",
    "Scales", "Stopped", "candidates_to", "executor_class", "in_units", "make_executor",
    "pack_size", "starting", "weighed", "worker_count",
]  # fmt: skip

import_lazily(__name__)
