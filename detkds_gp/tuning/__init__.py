"""The weight of one distiller, found by a few trainings: the question that every distillation loss comes with."""

from detkds_gp.tuning.curve import Curve, Point
from detkds_gp.tuning.proportions import Proportions
from detkds_gp.tuning.rivals import RivalTuning
from detkds_gp.tuning.tune import Tuned, tune
from detkds_gp.tuning.tuner import Tuner, tuned_aps

__all__ = ["Curve", "Point", "Proportions", "RivalTuning", "Tuned", "Tuner", "tune", "tuned_aps"]
