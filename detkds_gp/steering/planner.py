"""The planner of a run: what is spent, what still fits, and whether a training may begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from detkds_gp.errors import BudgetError
from detkds_gp.final_round import FinalRound
from detkds_gp.fitness import Request
from detkds_gp.results import Verdict
from detkds_gp.results.finalist import LEAST_JUDGED, LEFT
from detkds_gp.score import MIX, Trial
from detkds_gp.search import Generation, Strategy
from detkds_gp.steering.budget import UNLIMITED, Budget, spent
from detkds_gp.steering.decisions import End
from detkds_gp.steering.plan import FinalStages, Limits, Plan, cost, fitted, least
from detkds_gp.steering.prices import TUNED_AT_A_TIME, Prices
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_CUT, FINISHED

ENDING_SECONDS = 10.0
ENDING_SHARE = 0.05
"""What is kept of a budget for what follows the last training, drawing and the report: the lesser of both."""
_OVERTIME = 0.02
"""Of a budget, by which the last trainings may outlast it before they are abandoned."""


@dataclass
class Planner:
    """Plans what is left of a run.

    Attributes:
        budget: `UNLIMITED` holds everything.
        strategy: says what it still plans.
        final_stages: what the settings plan besides.
        prices: in the budget's unit.
        prepared: what was spent before the search; None until it begins, or where it is known in another unit.
    """

    budget: Budget
    strategy: Strategy
    final_stages: FinalStages
    prices: Prices
    store: Store
    prepared: float | None = None

    @property
    def limited(self) -> bool:
        """Whether the run has a budget."""
        return self.budget is not UNLIMITED

    def spent(self) -> float:
        """Return what is spent, over all sessions, in the budget's unit."""
        return spent(self.store, self.budget.kind, self.prices.share)

    @property
    def ending(self) -> float:
        """What is kept for what follows the last training."""
        if not self.limited or self.budget.kind != "wall":
            return 0.0
        return min(ENDING_SECONDS, ENDING_SHARE * self.budget.amount)

    def room(self) -> float:
        """Return what is left of the budget."""
        return self.budget.amount - self.ending - self.spent() if self.limited else self.budget.amount

    def check(self, waiting: Sequence[Request]) -> None:
        """Refuse a budget that does not hold what is waiting to be trained first, all stages and a final round.

        Raises:
            BudgetError: says what the budget is enough for, and what it would take.
        """
        budget, said = self.budget, self.budget.said
        before, search, final = self.prices.preparation(waiting), self._least_search(), self._least_final()
        needed = self.spent() + before + search + final
        if needed + self.ending <= budget.amount:
            return
        wanted = needed if budget.kind != "wall" else min(needed / (1 - ENDING_SHARE), needed + ENDING_SECONDS)
        rivals = self.final_stages.least_places - 1
        beside = f" and {rivals} rival{'s' * (rivals > 1)}" if rivals else ""
        judged = f"a final round of the winner{beside} on {self.final_stages.least_seeds} seeds"
        parts = f"{said(before)} for teacher and students alone, {said(search)} for the smallest search, "
        parts += f"{said(final)} for {judged}"
        shorter = ", or fewer proxy.iterations or teacher.train.iterations" if budget.kind != "evaluations" else ""
        raise BudgetError(
            f"budget is {budget.text!r}, {self._enough(budget.amount - self.spent() - before)}; wanted "
            f"{said(wanted)} or more ({parts}); use --budget {budget.option(wanted * self._margin)}{shorter}"
        )

    def check_left(self) -> None:
        """Refuse to go on with a budget that is spent: all that is still to come would be left out for good.

        Raises:
            BudgetError: says what is spent, and what the rest takes.
        """
        if self.room() > 0 or self._judged():
            return
        used, rest = self.spent(), self._least_search() + self._least_final()
        raise BudgetError(
            f"budget is {self.budget.text!r}, which counts what all sessions spend, and {self.budget.said(used)} are "
            f"spent; use --budget {self.budget.option((used + rest) * self._margin)} or more, or none"
        )

    def _judged(self) -> bool:
        """Tell whether the final round is over, or has the seeds that a verdict takes."""
        verdict = Verdict(self.store)
        if self.store.events(FINISHED) or self.store.events(FINAL_CUT):
            return True
        complete = verdict.complete_seeds(verdict.finalists)
        return bool(verdict.finalists) and len(complete) >= min(LEAST_JUDGED, len(verdict.seeds))

    @property
    def _margin(self) -> float:
        """What the named budget has more than the least: the next start may be a little slower."""
        return 1.0 if self.budget.kind == "evaluations" else 1 + ENDING_SHARE

    def _enough(self, left: float) -> str:
        if left < 0:
            return "not enough for the teacher and the students alone"
        one = self.prices.generation(1, 1)
        return f"enough for the teacher, the students alone and {int(left / one) if one else 0} formulas"

    def shortened(self, final: FinalRound, waiting: Sequence[Request]) -> FinalRound:
        """Return the final round with trainings of the proxy's length, where longer ones crowd out the search.

        It loses places first, down to the leader and every rival, and seeds: what wins a short training may lose a
        longer one.
        """
        short, stages = self.prices.proxy.iterations, self.final_stages
        if self.budget.kind == "evaluations" or final.iterations <= short:
            return final
        preparation = self.prices.preparation(waiting)
        needed = preparation + 2 * self._least_search() + self._least_final()
        leader_and_rivals = max(stages.least_places, min(stages.final.places, 1 + stages.rivals))
        judging = self.prices.final(leader_and_rivals, stages.least_seeds)
        if needed <= self.room() and judging <= self._share(self.spent() + preparation):
            return final
        less = f"the final round has {short} iterations instead of {final.iterations}, to fit into the budget"
        less += ": trained longer, another may win"
        return replace(final, iterations=short, reduced="; ".join(filter(None, [final.reduced, less])))

    def use(self, final: FinalRound, tuning: int | None = None) -> None:
        """Plan with a final round, and with other trainings of each rival, from here on."""
        kept = self.final_stages.tuning if tuning is None else tuning
        self.final_stages = replace(self.final_stages, final=final, tuning=kept)
        self.prices.length = final.iterations

    def plan(self, more: float = 0.0, asked: float = 0.0) -> Plan:
        """Return what follows the last generation: all that is planned, or what fits.

        Args:
            more: what has to be done before it costs.
            asked: what was asked and is not trained yet costs; it is cut short where the least does not fit beside it.
        """
        ahead = self.strategy.plan()
        if not self.limited:
            return self.final_stages.full(ahead)
        prepared = self.spent() + more if self.prepared is None else self.prepared
        trained = sum(birth.niche != MIX for birth in self.store.births()) // self.final_stages.niches
        limits = Limits(self._share(prepared), self.room() - more - asked, trained)
        return fitted(self.final_stages, ahead, limits, self.prices) or self._emergency(ahead, self.room() - more)

    def _share(self, prepared: float) -> float:
        """Return what the final round and the tuning of rivals may take: a share of what preparation leaves."""
        return self.final_stages.share * (self.room() + self.spent() - prepared)

    def _emergency(self, ahead: Sequence[Generation], room: float) -> Plan:
        """Return the least of what follows, where not even that fits: the machine became slower."""
        final_stages, generations = self.final_stages, least(ahead)
        judged = self.prices.final(final_stages.least_places, 2, careful=False)
        if self.store.births() and room < cost(generations, self.prices, careful=False) + judged:
            generations = []
        return Plan(tuple(generations), 0, final_stages.least_places, final_stages.least_seeds)

    def seconds(self, plan: Plan) -> float:
        """Return how long the rest of a run takes."""
        prices = self.prices.on_the_clock
        generations = cost(plan.generations, prices, careful=False)
        tuning = prices.tuning(self.final_stages.rivals, plan.tuning, careful=False)
        return generations + tuning + prices.final(plan.places, plan.seeds, careful=False) + self.ending

    def ends(self, plan: Plan) -> tuple[End | None, str]:
        """Return what ends with the last generation by a plan, and why."""
        ahead = self.strategy.plan()
        reason = f"{self.budget.said(self.spent())} of {self.budget.text} are spent"
        if ahead and not plan.generations:
            return "search", reason
        return ("stage", reason) if ahead and plan.generations[0].stage != ahead[0].stage else (None, "")

    def may_begin(self, trials: Sequence[Trial]) -> bool:
        """Tell whether candidates that share a worker can be trained before what has to follow needs its time."""
        return self._begun(trials) <= self.room() - self._reserve()

    def _begun(self, trials: Sequence[Trial], careful: bool = True) -> float:
        """Return what is at work will have cost with some trainings that share a worker."""
        return self.prices.trainings(trials, careful) + self.prices.at_work_cost()

    def late(self) -> bool:
        """Tell whether what has to follow needs the time of what is still at work."""
        return self.budget.kind == "wall" and self.room() < self._reserve(careful=False)

    def may_judge(self, seeds_before: int, places: int) -> bool:
        """Tell whether everyone can be trained on one more seed; on the first two at the mean price."""
        return self.prices.final(places, 1, careful=seeds_before >= 2) + self.prices.at_work_cost() <= self.room()

    def may_race(self, places: int) -> bool:
        """Tell whether some finalists can be trained on one more seed before those who are left are judged."""
        judging = self.prices.final(LEFT, self.final_stages.least_seeds)
        return self.prices.final(places, 1) + judging + self.prices.at_work_cost() <= self.room()

    def may_end(self, trials: Sequence[Trial]) -> bool:
        """Tell whether trainings that share a worker, begun now, end within the budget at the mean price."""
        return self._begun(trials, careful=False) <= self.room()

    def over(self) -> bool:
        """Tell whether the budget is over: nothing may go on."""
        return self.budget.kind == "wall" and self.room() + _OVERTIME * self.budget.amount < 0

    def may_tune(self) -> bool:
        """Tell whether a few more trainings for a rival's weight leave time for what has to follow."""
        return self.prices.tuning(1, TUNED_AT_A_TIME) <= self.room() - self._reserve()

    def judged(self) -> int:
        """Return how many formulas the final round can judge: as many as fit on all seeds, the least in any case."""
        wished, fewest = self.final_stages.final.places, self.final_stages.least_places
        seeds, room = len(self.final_stages.final.seeds), self.room()
        return next((n for n in range(wished, fewest, -1) if self.prices.final(n, seeds) <= room), fewest)

    def _reserve(self, careful: bool = True) -> float:
        return self._least_search(careful) + self._least_final(careful)

    def _least_search(self, careful: bool = True) -> float:
        """Return what the smallest search that may still follow costs."""
        return cost(least(self.strategy.plan()), self.prices, careful)

    def _least_final(self, careful: bool = True) -> float:
        return self.prices.final(self.final_stages.least_places, self.final_stages.least_seeds, careful)
