"""From a distiller to the student that is used: its whole training, and what it gained."""

from detkds_gp.experiment.full_training.folder import first_difference
from detkds_gp.experiment.full_training.recipe import prepared_configs
from detkds_gp.experiment.full_training.training import FullTraining, baseline_of, run_full_training, share_of_gap

__all__ = ["FullTraining", "baseline_of", "first_difference", "prepared_configs", "run_full_training", "share_of_gap"]
