"""What is looked at before anything is trained: a pair, a step, a formula, the zoo."""

from detkds_gp.experiment.checks.check import Offer, PairReport, check_experiment, knowledge_not_shared
from detkds_gp.experiment.checks.curves import Curves, learning_curves
from detkds_gp.experiment.checks.lint import lint_experiment
from detkds_gp.experiment.checks.zoo_check import Entry, check_zoo, list_zoo

__all__ = [
    "Curves",
    "Entry",
    "Offer",
    "PairReport",
    "check_experiment",
    "check_zoo",
    "learning_curves",
    "lint_experiment",
    "list_zoo",
    "knowledge_not_shared",
]
