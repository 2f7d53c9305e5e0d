"""From a distiller to the student that is used: its whole training, and what it gained."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.full_training.folder import first_difference
    from detkds_gp.full_training.page import write_trainings_page
    from detkds_gp.full_training.recipe import prepared_configs
    from detkds_gp.full_training.training import FullTraining, compared_with, run_full_training, share_of_gap

__all__ = [
    "FullTraining",
    "compared_with",
    "first_difference",
    "prepared_configs",
    "run_full_training",
    "share_of_gap",
    "write_trainings_page",
]

import_lazily(__name__)
