"""Student, teacher and distillation loss in training."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.training.distilled_detector import DistilledDetector
    from detkds_gp.training.found import SHOWN, evenly
    from detkds_gp.training.full import (
        alone,
        first_does,
        process_count,
        processes,
        score_student,
        score_teacher,
        spent_seconds,
        trained,
        wait_for_all,
    )
    from detkds_gp.training.hooks import STUDENT_FILE, AverageLosses, ReadStudent, StopNonfinite, WriteStudent
    from detkds_gp.training.loop import Training, TrainingFault, seed_all, train
    from detkds_gp.training.recipe import Recipe, SplitFiles, average_hook, left_out, training_config
    from detkds_gp.training.registered import distilled_detector
    from detkds_gp.training.settings import FullTrainingSettings, OptimizerSettings

__all__ = [
    "SHOWN", "STUDENT_FILE", "AverageLosses", "DistilledDetector", "FullTrainingSettings", "OptimizerSettings",
    "ReadStudent", "Recipe", "SplitFiles", "StopNonfinite", "Training", "TrainingFault", "WriteStudent", "alone",
    "average_hook", "distilled_detector", "evenly", "first_does", "left_out", "process_count", "processes",
    "score_student", "score_teacher", "seed_all", "spent_seconds", "train", "trained", "training_config",
    "wait_for_all",
]  # fmt: skip

import_lazily(__name__)
