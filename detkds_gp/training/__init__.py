"""Student, teacher and distillation loss in training."""

from detkds_gp.training.distilled_detector import DistilledDetector
from detkds_gp.training.loop import OptimizerSettings, TrainingFault, seed_all, train

__all__ = ["DistilledDetector", "OptimizerSettings", "TrainingFault", "seed_all", "train"]
