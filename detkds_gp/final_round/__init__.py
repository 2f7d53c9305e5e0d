"""The final round: how it is planned, who is invited, the race, and its pictures."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.final_round.painting import paint_finalists
    from detkds_gp.final_round.plan import FinalRound, Rival, finalists, plan_final_round, tuning_trainings
    from detkds_gp.final_round.race import Race, kept, plan_race

__all__ = [
    "FinalRound", "Race", "Rival", "finalists", "kept", "paint_finalists", "plan_final_round", "plan_race",
    "tuning_trainings",
]  # fmt: skip

import_lazily(__name__)
