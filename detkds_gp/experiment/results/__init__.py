"""What a work directory has found: the ranking, the final round that judges the best of it, the verdict."""

from detkds_gp.experiment.results.final_round import FinalRound, finalists, plan_final_round
from detkds_gp.experiment.results.summary import TEACHER, Ranked, Summary, opened
from detkds_gp.experiment.results.verdict import Verdict

__all__ = ["FinalRound", "Ranked", "Summary", "TEACHER", "Verdict", "opened", "finalists", "plan_final_round"]
