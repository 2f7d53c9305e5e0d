"""Config, run loop and verdict: what ties the rooms together; read `experiment.py` first."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.experiment.config import ExperimentConfig, load_config
    from detkds_gp.experiment.experiment import Experiment, Outcome
    from detkds_gp.experiment.listener import Listener
    from detkds_gp.results import Summary

__all__ = ["Experiment", "ExperimentConfig", "Listener", "Outcome", "Summary", "load_config"]

import_lazily(__name__)
