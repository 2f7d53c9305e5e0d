"""The controller of a run: its budget, commands of other processes, decisions between two generations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from detkds_gp.config import ExperimentConfig
from detkds_gp.evaluation import EvaluationService, Interrupt, in_units, worker_count
from detkds_gp.final_round import FinalRound, tuning_trainings
from detkds_gp.fitness import Request
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.results import Clock
from detkds_gp.search import Generation, Strategy
from detkds_gp.steering.budget import Budget, duration
from detkds_gp.steering.decisions import End, Steering
from detkds_gp.steering.inbox import Inbox
from detkds_gp.steering.pacing import measured_pace
from detkds_gp.steering.plan import FinalStages, Plan
from detkds_gp.steering.planner import Planner
from detkds_gp.steering.prices import Prices
from detkds_gp.steering.watch import Watch
from detkds_gp.store import FIRST, Store
from detkds_gp.store.events import FINAL_PLANNED, PLANNED, SEARCH_PLANNED, TUNING_PLANNED


class Controller:
    """Keeps a run to its budget and obeys commands of other processes; call `begin` first.

    Args:
        config: of the experiment.
        store: open for writing.
        strategy: fresh.
        evaluations: asked about generations, and about the scales of formulas from outside.
        listener: is told decisions and the time left.
        interrupt: asked for an end by ``gp_search stop``.

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
        self._budget = None if config.budget is None else Budget.parse(config.budget)
        self._config = config
        self._strategy = strategy
        self._interrupt = interrupt
        self._inbox = Inbox(store.path.parent)
        self._steering = Steering(store, self._inbox, self._read, self._ending, listener.say)
        self._evaluations = evaluations
        self._store = store
        self._listener = listener
        self._inbox.forget_stop()  # a command to stop that was left for an earlier run

    def _read(self, formula: str) -> Distiller:
        """Read a formula from outside; weights are in calibrated units thereafter."""
        return in_units(parse_distiller(formula, self._strategy.primitive_set, bare=None), self._evaluations.scales)

    def begin(self, wished: FinalRound, waiting: Callable[[FinalRound], Sequence[Request]]) -> FinalRound:
        """Measure the pace and plan the run; returns the final round that it will have.

        Args:
            wished: the final round that the settings plan.
            waiting: what is still to be trained before the search, with a final round.

        Raises:
            BudgetError: the budget does not hold preparation, all stages and a final round.
        """
        config, store = self._config, self._store
        workers = worker_count(config)
        pace = measured_pace(store, self._evaluations, workers, self._listener.say)
        kind, share = self._budget.kind if self._budget else "wall", config.execution.gpus_per_worker or 1.0
        prices = Prices(pace, config.proxy, wished.iterations, workers, share, kind)
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
        before = planner.preparation(waiting)
        self.watch.plan = planner.plan(more=before)
        seconds = planner.prices.preparation(waiting)
        if waiting:
            self._listener.say(f"teacher and students alone take about {duration(seconds)}")
            self._listener.expected("teacher and students alone", seconds)
        self._tell(seconds)

    def over(self) -> bool:
        """Tell whether the budget is over, or ``gp_search stop`` asked for an end."""
        self.watch.obey()
        return self._interrupt.requested or self.planner.over()

    def begin_search(self, injected: Sequence[str]) -> None:
        """Decide before the first generation.

        Args:
            injected: distillers that join it beyond its size; what they are trained for is known already.
        """
        store = self._store
        if not store.events(SEARCH_PLANNED):
            generations = [one.to_json() for one in self._strategy.plan()]
            spent = {"unit": self.planner.prices.kind, "spent": self.planner.spent()}
            store.record_event(SEARCH_PLANNED, generations=generations, **spent)
        planned = store.events(SEARCH_PLANNED)[0].detail
        if planned["unit"] == self.planner.prices.kind:
            self.planner.prepared = planned["spent"]
        self.watch.search_begins()
        self._steering.first = injected
        self.decide(self._strategy.plan()[0].stage, FIRST)

    def decide(self, stage: str, number: int) -> None:
        """Decide with a generation that is answered, and say how much time is left."""
        replayed = self._store.generation(stage, number) is not None or (number == FIRST and self._store.births())
        decision = self._steering.decide(stage, number, last=not self._strategy.plan())
        if not replayed:
            if decision.end == "search" and self.watch.plan is not None:
                self.watch.plan = replace(self.watch.plan, generations=())
            self._tell(done=f"{stage} {number} is done; " if number != FIRST else "")
        decision.apply(self._strategy)

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

    def _ending(self) -> tuple[End | None, str, int | None]:
        plan = self.watch.plan = self.planner.plan()
        # without a budget nothing is cut, and what an earlier one cut is taken back
        sized = self._budget is not None or any(one.get("most") is not None for one in self._store.steerings())
        most = plan.generations[0].size if plan.generations and sized else None
        return *self.planner.ends(plan), most

    def _tell(self, before: float = 0.0, done: str = "") -> None:
        """Say and record what is to come, and how long it takes.

        Args:
            before: seconds until the search begins.
            done: what is done, in words.
        """
        planner, plan = self.planner, self.watch.plan
        if plan is None:
            return
        seconds = before + planner.seconds(plan)
        said = f"{done}what is planned takes about {duration(seconds)} more"
        if planner.budget is not None:
            said += f"; {planner.said(planner.spent())} of {planner.budget.text} spent; {_in_words(plan)}"
        self._listener.say(said)
        self._listener.time_left(seconds)
        at_work = Clock(self._store).seconds()
        self._store.record_event(PLANNED, seconds=seconds, at_work=at_work, **plan.to_json())


def _in_words(plan: Plan) -> str:
    """Say which sizes a plan has."""
    sizes: dict[str, list[Generation]] = {}
    for one in plan.generations:
        sizes.setdefault(one.stage, []).append(one)
    parts = [
        f"{stage} with {', '.join(str(one.size) for one in each)} new {each[0].what}" for stage, each in sizes.items()
    ]
    parts += [f"{plan.tuning} trainings tune each rival"] * bool(plan.tuning)
    return "; ".join([*parts, f"final round of {plan.places} on {plan.seeds} seeds"])
