"""What is looked at before anything is trained: a pair, a step, a formula, the zoo."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.preflight.check import Offer, PairReport, check_experiment, knowledge_not_shared
    from detkds_gp.preflight.curves import Curves, learning_curves
    from detkds_gp.preflight.lint import lint_experiment
    from detkds_gp.preflight.zoo_check import check_zoo
    from detkds_gp.preflight.zoo_list import Entry, list_zoo

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

import_lazily(__name__)
