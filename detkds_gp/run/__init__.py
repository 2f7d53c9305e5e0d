"""Run: searches, judges and replays; read `experiment.py` first."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.run.experiment import Experiment, Outcome

__all__ = ["Experiment", "Outcome"]

import_lazily(__name__)
