"""What watches over a run: budget, wishes of other processes, the use of the workers."""

from __future__ import annotations

from detkds_gp.experiment.answers import Answers, Asked, Interrupt, Scored, in_units
from detkds_gp.experiment.config import ExperimentConfig
from detkds_gp.experiment.listener import Listener
from detkds_gp.experiment.results import FinalRound, tuning_trainings
from detkds_gp.experiment.steering.budget import Budget, Meter, Outlook, check_budget
from detkds_gp.experiment.steering.decisions import Decision, Steering
from detkds_gp.experiment.steering.inbox import Inbox
from detkds_gp.language import Distiller, PrimitiveSet, parse_distiller
from detkds_gp.score import Score
from detkds_gp.store import Store
from detkds_gp.store.events import WORKED


class Steered:
    """The outside of a run, as the search loop needs it.

    Args:
        config: of the experiment.
        store: open for writing.
        primitive_set: the grammar of the search.
        answers: asked about generations, and about the scales of formulas from outside.
        listener: hears of decisions and of the time left.
        final: the final round that is planned.

    Raises:
        ConfigError: the budget cannot be read, or holds no search.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        store: Store,
        primitive_set: PrimitiveSet,
        answers: Answers,
        listener: Listener,
        final: FinalRound,
    ) -> None:
        budget = None if config.budget is None else Budget.parse(config.budget)
        niches, seeds = len(primitive_set.niches), len(final.seeds)
        tuning = tuning_trainings(config.search, config.verdict)
        outlook = Outlook(config.search, config.proxy, niches, final.trainings, config.verdict.share, tuning)
        check_budget(budget, outlook, len(config.baseline_seeds) + seeds, seeds)
        workers = 1 if config.execution.executor == "serial" else config.execution.workers
        self.meter = Meter(budget, outlook, store, workers, config.execution.gpus_per_worker or 1.0)
        self._primitive_set = primitive_set
        self._inbox = Inbox(store.path.parent)
        self._steering = Steering(store, self._inbox, self._read, self.meter.ends, listener.say)
        self._answers = answers
        self._store = store
        self._listener = listener
        self._inbox.forget_stop()  # a wish to stop that was left for an earlier run

    def _read(self, formula: str) -> Distiller:
        """Read a formula from outside; weights are in calibrated units thereafter."""
        return in_units(parse_distiller(formula, self._primitive_set, bare=None), self._answers.scales)

    def decide(self, stage: str, number: int, last: bool) -> Decision:
        """Decide with a generation, and say how much time is left."""
        replayed = self._store.generation(stage, number) is not None
        decision = self._steering.decide(stage, number, last)
        if not replayed:
            self._listener.say(self._outlook(stage, number))
            self._listener.outlook(self.meter.remaining_seconds(stage, number))
        return decision

    def watched(self, interrupt: Interrupt) -> Scored:
        """Return the answering of generations; it records how busy workers were and obeys ``gp_search stop``."""
        answers = self._answers

        def scored(phase: str, asked: Asked) -> list[Score]:
            busy, held = answers.usage.busy_seconds, answers.usage.held_seconds
            scores = answers.scores(phase, asked, lambda: self._obey(interrupt))
            worked = {"busy": answers.usage.busy_seconds - busy, "held": answers.usage.held_seconds - held}
            if worked["held"]:
                self._store.record_event(WORKED, phase=phase, **worked)
            return scores

        return scored

    def _obey(self, interrupt: Interrupt) -> None:
        if self._inbox.stop_wish() == "pause":
            self._inbox.forget_stop()
            interrupt.request()

    def _outlook(self, stage: str, number: int) -> str:
        minutes = self.meter.remaining_seconds(stage, number) / 60
        said = f"{stage} {number} is done; all that is planned takes {minutes:.0f} min more"
        if (budget := self.meter.budget) is not None:
            said += f"; {budget.said(self.meter.spent())} of {budget.text} spent"
        return said
