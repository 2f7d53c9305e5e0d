"""The controller of a run: its budget, commands of other processes, decisions between two generations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from detkds_gp.config import ExperimentConfig
from detkds_gp.errors import FormulaError
from detkds_gp.evaluation import EvaluationService, Interrupt, in_units, worker_count
from detkds_gp.final_round import FinalRound, tuning_trainings
from detkds_gp.fitness import Request
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.results import Clock
from detkds_gp.search import Strategy
from detkds_gp.steering.budget import UNLIMITED, Budget, duration
from detkds_gp.steering.decisions import Decision, recorded_decision
from detkds_gp.steering.inbox import Inbox
from detkds_gp.steering.plan import FinalStages
from detkds_gp.steering.planner import Planner
from detkds_gp.steering.prices import Prices, measured_pace
from detkds_gp.steering.watch import Watch
from detkds_gp.store import FIRST, Store
from detkds_gp.store.events import FINAL_PLANNED, PLANNED, SEARCH_PLANNED, TUNING_PLANNED


class Controller:
    """Keeps a run, of a fresh strategy, to its budget and obeys commands of other processes; call `begin` first.

    Raises:
        ConfigError: the budget cannot be read.
    """

    planner: Planner
    watch: Watch

    def __init__(
        self,
        config: ExperimentConfig,
        store: Store,
        strategy: Strategy,
        evaluations: EvaluationService,
        listener: Listener,
        interrupt: Interrupt,
    ) -> None:
        self._budget = UNLIMITED if config.budget is None else Budget.parse(config.budget)
        self._config = config
        self._strategy = strategy
        self._interrupt = interrupt
        self._inbox = Inbox(store.path.parent)
        self._evaluations = evaluations
        self._store = store
        self._listener = listener
        self._inbox.forget_stop()  # a command to stop that was left for an earlier run

    def begin(self, wished: FinalRound, waiting: Callable[[FinalRound], Sequence[Request]]) -> FinalRound:
        """Measure the pace and plan the run; returns the final round that it will have in place of the wished one.

        ``waiting`` gives what is still to be trained before the search, with a final round.

        Raises:
            BudgetError: the budget does not hold preparation, all stages and a final round.
        """
        config, store = self._config, self._store
        workers, share = worker_count(config), config.execution.gpus_per_worker or 1.0
        pace = measured_pace(store, self._evaluations, workers, self._listener.say)
        prices = Prices(pace, config.proxy, wished.iterations, workers, share, self._budget.kind)
        for record in store.scores():
            if not record.extra:
                prices.learn(record.trial, record.score)
        niches, rivals = len(self._strategy.primitive_set.niches), len(config.verdict.rivals)
        tuning = tuning_trainings(self._strategy.plan(), config.verdict) // max(1, rivals)
        final_stages = FinalStages(niches, wished, rivals, config.verdict.share, tuning)
        self.planner = Planner(self._budget, self._strategy, final_stages, prices, store)
        self.watch = Watch(self.planner, store, self._evaluations, self._listener, self._inbox, self._interrupt)
        final = self._final(wished, waiting(wished))
        self.planner.use(final)
        self._announce(waiting(final))
        return final

    def _final(self, wished: FinalRound, waiting: Sequence[Request]) -> FinalRound:
        """Return the recorded plan of the final round, or make and record it."""
        if recorded := self._store.events(FINAL_PLANNED):
            known = FinalRound(**recorded[0].detail)
            return replace(known, seeds=tuple(known.seeds))
        final = self.planner.shortened(wished, waiting)
        self._store.record_event(FINAL_PLANNED, **vars(final))
        if final.reduced:
            self._listener.say(final.reduced)
        return final

    def _announce(self, waiting: Sequence[Request]) -> None:
        """Refuse a budget that is too small; say and record what is to come, where the search has not begun."""
        planner = self.planner
        if self._store.births():
            planner.check_left()
            return
        planner.check(waiting)
        self.watch.plan = planner.plan(more=planner.prices.preparation(waiting))
        seconds = planner.prices.on_the_clock.preparation(waiting)
        if waiting:
            self._listener.say(f"teacher and students alone take about {duration(seconds)}")
            self._listener.expected("teacher and students alone", seconds)
        self._tell(seconds)

    def over(self) -> bool:
        """Tell whether the budget is over, or ``gp_search stop`` asked for an end."""
        self.watch.obey()
        return self._interrupt.requested or self.planner.over()

    def begin_search(self, injected: Sequence[str]) -> None:
        """Decide before the first generation, which distillers whose scores are known join beyond its size."""
        store, unit = self._store, self._budget.kind
        if not store.events(SEARCH_PLANNED):
            generations = [one.to_json() for one in self._strategy.plan()]
            store.record_event(SEARCH_PLANNED, generations=generations, unit=unit, spent=self.planner.spent())
        planned = store.events(SEARCH_PLANNED)[0].detail
        if planned["unit"] == unit:
            self.planner.prepared = planned["spent"]
        self.watch.search_begins()
        self.decide(self._strategy.plan()[0].stage, FIRST, injected)

    def decide(self, stage: str, number: int, injected: Sequence[str] = ()) -> None:
        """Decide once after a generation was asked, and say how much time is left; a replay repeats the decision."""
        decision = recorded_decision(self._store, stage, number)
        if decision is None:
            decision = self._decided(number, injected)
            self._store.record_steering(stage, number, vars(decision))
            self._inbox.forget(*decision.injections)
            if decision.end is not None:
                self._listener.say(f"the {decision.end} ends with {stage} {number}: {decision.reason}")
            if decision.end == "search" and self.watch.plan is not None:
                self.watch.plan = replace(self.watch.plan, generations=())
            self._tell()
        decision.apply(self._strategy)

    def _decided(self, number: int, injected: Sequence[str]) -> Decision:
        if number != FIRST and self._inbox.stop_command() == "final":
            self._inbox.forget_stop()
            return Decision(end="search", reason="gp_search stop --final")
        plan = self.watch.plan = self.planner.plan(asked=self.watch.asked_cost(self.planner.prices))
        end, reason = self.planner.ends(plan)
        # without a budget nothing is cut, and what an earlier one cut is taken back
        sized = self.planner.limited or any(one.get("most") is not None for one in self._store.steerings())
        most = plan.generations[0].size if plan.generations and sized else None
        if number == FIRST or end == "search" or not self._strategy.plan():  # injections come too early, or too late
            return Decision(tuple(injected), end, reason, most=most)
        granted = {name for decision in self._store.steerings() for name in decision.get("injections", ())}
        left = {name: formula for name, formula in self._inbox.injections().items() if name not in granted}
        texts = [text for formula in left.values() if (text := self._canonical(formula)) is not None]
        return Decision(tuple(texts), end, reason, tuple(left), most)

    def _canonical(self, formula: str) -> str | None:
        """Read a formula from outside, with weights in calibrated units, and say whether it is injected."""
        try:
            distiller = parse_distiller(formula, self._strategy.primitive_set, bare=None)
            text = in_units(distiller, self._evaluations.scales).text
        except FormulaError as error:
            self._listener.say(f"not injected: {error}")
            return None
        self._listener.say(f"injected: {text}")
        return text

    def tuning(self) -> int:
        """Return by how many trainings the weight of each rival is tuned; planned and recorded once."""
        recorded = self._store.events(TUNING_PLANNED)
        if recorded:
            return int(recorded[0].detail["each"])
        each, planned = self.planner.plan().tuning, self.planner.final_stages.tuning
        self._store.record_event(TUNING_PLANNED, each=each, planned=planned)
        if each < planned:
            self._listener.say(f"{each} trainings tune the weight of each rival instead of {planned}")
        return each

    def tuned(self) -> None:
        """Plan without the tuning of rivals from here on: it is done."""
        self.planner.prices.forget_work()
        self.planner.use(self.planner.final_stages.final, tuning=0)

    def _tell(self, before: float = 0.0) -> None:
        """Say and record what is to come, and how long it takes, with the seconds until the search begins."""
        planner, plan = self.planner, self.watch.plan
        if plan is None:
            return
        before += self.watch.asked_cost(planner.prices.on_the_clock, careful=False)
        seconds = before + planner.seconds(plan)
        said = f"what is planned takes about {duration(seconds)} more"
        if planner.limited:
            said += f"; {self._budget.said(planner.spent())} of {self._budget.text} spent; {plan}"
        self._listener.say(said)
        self._listener.time_left(seconds)
        at_work = Clock(self._store).seconds()
        self._store.record_event(PLANNED, seconds=seconds, at_work=at_work, **plan.to_json())
