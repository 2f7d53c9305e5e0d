"""What a work directory has found: the ranking, the final round that judges the best of it, the verdict."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.experiment.results.final_round import (
        Finalist,
        FinalRound,
        Rival,
        finalists,
        plan_final_round,
        tuning_trainings,
    )
    from detkds_gp.experiment.results.painting import paint_finalists
    from detkds_gp.experiment.results.race import Race, kept, plan_race
    from detkds_gp.experiment.results.summary import Ranked, Summary, opened
    from detkds_gp.experiment.results.verdict import Verdict
    from detkds_gp.score import TEACHER

__all__ = [
    "TEACHER",
    "FinalRound",
    "Finalist",
    "Race",
    "Ranked",
    "Rival",
    "Summary",
    "Verdict",
    "finalists",
    "kept",
    "opened",
    "paint_finalists",
    "plan_final_round",
    "plan_race",
    "tuning_trainings",
]

import_lazily(__name__)
