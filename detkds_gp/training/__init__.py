"""Student, teacher and distillation loss in training."""

from detkds_gp.training.distilled_detector import DistilledDetector
from detkds_gp.training.loop import Training, TrainingFault, seed_all, train
from detkds_gp.training.settings import OptimizerSettings

__all__ = ["DistilledDetector", "OptimizerSettings", "Training", "TrainingFault", "seed_all", "train"]
