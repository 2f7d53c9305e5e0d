"""The weight of one distiller, found by a few trainings: the question that every distillation loss comes with."""

from detkds_gp.experiment.tuning.curve import Curve, Point
from detkds_gp.experiment.tuning.proportions import Proportions
from detkds_gp.experiment.tuning.rivals import RivalTuning
from detkds_gp.experiment.tuning.tune import Tuned, tune
from detkds_gp.experiment.tuning.tuner import Tuner, tuned_aps

__all__ = ["Curve", "Point", "Proportions", "RivalTuning", "Tuned", "Tuner", "tune", "tuned_aps"]
