"""Answers to what a run asks: from the store where they are recorded, else from workers."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.experiment.evaluation.allowance import UNLIMITED, Allowance
    from detkds_gp.experiment.evaluation.evaluator import Asked, Evaluator, Scored
    from detkds_gp.experiment.evaluation.interrupt import Interrupt, Stopped
    from detkds_gp.experiment.evaluation.packing import Packing, pack_size
    from detkds_gp.experiment.evaluation.screening import Screener, UnheardError, unheard
    from detkds_gp.experiment.evaluation.units import Scales, entering, in_units, weighed
    from detkds_gp.experiment.evaluation.workers import make_executor

__all__ = [
    "UNLIMITED",
    "Allowance",
    "Asked",
    "Evaluator",
    "Interrupt",
    "Packing",
    "Scales",
    "Scored",
    "Screener",
    "Stopped",
    "UnheardError",
    "entering",
    "in_units",
    "make_executor",
    "pack_size",
    "unheard",
    "weighed",
]

import_lazily(__name__)
