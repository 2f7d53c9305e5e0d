"""What a work directory has found: the ranking, the final round that judges the best of it, the verdict."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.experiment.results.final_round import FinalRound, finalists, plan_final_round
    from detkds_gp.experiment.results.summary import TEACHER, Ranked, Summary, opened
    from detkds_gp.experiment.results.verdict import Verdict

__all__ = ["TEACHER", "FinalRound", "Ranked", "Summary", "Verdict", "finalists", "opened", "plan_final_round"]

import_lazily(__name__)
