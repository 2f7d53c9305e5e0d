"""An experiment: config in, searched and judged distiller out; killed anywhere, it continues by replay."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from deap import tools

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.environment import check_environment
from detkds_gp.errors import BudgetError, DetectorError, UserError
from detkds_gp.evaluation import EvaluationService, Interrupt, Stopped, candidates_to, in_units, starting
from detkds_gp.evaluation.halving import Halving
from detkds_gp.explanation import Explaining, Explanation
from detkds_gp.export import Panel, write_panels
from detkds_gp.final_round import FinalRound, Rival, paint_finalists, plan_final_round
from detkds_gp.fitness import forget_waiting
from detkds_gp.language import NONE, Distiller, PrimitiveSet, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.results import Ranked, Summary
from detkds_gp.run.judging import Judging
from detkds_gp.run.recorder import Recorder
from detkds_gp.score import Trial
from detkds_gp.screening import RecordedScreener, Screener, pass_all
from detkds_gp.search import Candidate, Strategy, WeightRange, make_strategy, run_search
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather
from detkds_gp.setup.provenance import provenance
from detkds_gp.steering import Controller
from detkds_gp.store import FILE_NAME, Store
from detkds_gp.store.events import FINISHED, NOISE, REFUSED, RIVALS_TUNED, STARTED, STOPPED
from detkds_gp.tuning import RivalTuning


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        best: the distiller with the highest AP on the selection split, with its scales.
        hall_of_fame: DEAP's, best first; each individual has ``distiller`` and ``fitness``.
        logbook: DEAP's, one record per stage, generation and niche.
        summary: the contract of ``gp_search show --json``.
        work_dir: where store, ``distiller.json`` and ``tree.png`` are.
    """

    best: Distiller
    hall_of_fame: tools.HallOfFame
    logbook: tools.Logbook
    summary: Mapping[str, Any]
    work_dir: Path


class Experiment:
    """A search for a distiller of one pair of detectors.

    Args:
        config: the checked config.
        work_dir: where everything is written; made if missing.
        primitive_set: a grammar of one's own in place of the config's; its primitives must be importable.
    """

    def __init__(
        self, config: ExperimentConfig, work_dir: str | Path, primitive_set: PrimitiveSet | None = None
    ) -> None:
        self.config = config
        self.work_dir = Path(work_dir)
        self.primitive_set = primitive_set

    @classmethod
    def from_config(
        cls,
        path: str | Path,
        work_dir: str | Path | None = None,
        primitive_set: PrimitiveSet | str | None = None,
        **options: Any,
    ) -> Experiment:
        """Make an experiment of a config file.

        Args:
            path: the config file.
            work_dir: where everything is written; None takes ``work_dirs/<the config's name>``.
            primitive_set: a grammar of one's own, or the ``module:NAME`` of one, in place of the config's.
            options: values that replace the config's; dotted keys as ``**{"proxy.iterations": 200}``.

        Raises:
            ConfigError: if the config is missing or broken.
        """
        if isinstance(primitive_set, str):
            options["primitive_set"], primitive_set = primitive_set, None
        return cls(load_config(path, options), work_dir or Path("work_dirs") / Path(path).stem, primitive_set)

    def run(self, listener: Listener | None = None, began: float | None = None) -> Outcome:
        """Search, judge and write the result; what was answered before is not computed again.

        Args:
            listener: hears what happens.
            began: Unix time from which a budget counts, such as the program's start; None: now.

        Raises:
            UserError: a mistake in config, data, detectors or work directory, in one line.
            BudgetError: the budget is too small; a work directory that held nothing is left without a store.
            Stopped: a signal or ``gp_search stop`` asked for an end; the same call continues.
        """
        try:
            return self._run(listener or Listener(), time.time() if began is None else began)
        except BudgetError:
            _remove_unused_store(self.work_dir)
            raise

    def _run(self, listener: Listener, began: float) -> Outcome:
        context, dropped = self._context(listener)
        interrupt = Interrupt(self.config.execution.grace_seconds)
        with interrupt.handling_signals(), context.open(interrupt) as (store, evaluations):
            for line in context.data:
                listener.say(line)
            lead = time.time() - began
            store.record_event(STARTED, dropped=dropped, data=context.data, lead=lead, **provenance(context.config))
            try:
                return _Run(context, store, evaluations, interrupt).outcome()
            except BudgetError:
                store.record_event(REFUSED)
                raise
            except Stopped as stopped:
                store.record_event(STOPPED, reason=str(stopped))
                raise

    def explain(self, evaluations: int, listener: Listener | None = None) -> Explanation:
        """Spend extra trainings on why the winner wins; they are stored, and no cost of the search.

        Raises:
            UserError: as `run`, or nothing was found that could be explained.
            Stopped: a signal asked for an end; the same call continues.
        """
        context, _ = self._context(listener or Listener())
        interrupt = Interrupt(self.config.execution.grace_seconds)
        torch.set_num_threads(self.config.threads)  # pictures are of students that are trained here, like a worker's
        with interrupt.handling_signals(), context.open(interrupt, extra=True) as (store, service):
            explaining = Explaining(store, service, context.task, self.work_dir, context.listener)
            return explaining.explain(evaluations)

    def _context(self, listener: Listener) -> tuple[RunContext, list[str]]:
        """Return where candidates are trained, and the inputs of the grammar that are left out."""
        check_environment(self.config.proxy.device)
        materials = gather(self.config, self.primitive_set, listener)
        context = RunContext.prepared(self.config, materials, self.work_dir, listener)
        kept = context.task.primitive_set.declarations
        return context, [name for name in materials.primitive_set.declarations if name not in kept]


def _remove_unused_store(work_dir: Path) -> None:
    """Remove a store without answers: the same work directory may be used with other settings."""
    with Store.open(work_dir, readonly=True) as store:
        used = bool(store.scores())
    for ending in [] if used else ["", "-wal", "-shm"]:
        (work_dir / f"{FILE_NAME}{ending}").unlink(missing_ok=True)


def _alone(final: FinalRound) -> list[Trial]:
    """Return the questions about the student alone that the final round asks."""
    return [Trial(NONE, final.iterations, seed, test=True) for seed in final.seeds]


class _Run(Recorder):
    """One run of an experiment, with its context open; records its search and lets a controller steer it."""

    def __init__(self, context: RunContext, store: Store, evaluations: EvaluationService, interrupt: Interrupt) -> None:
        super().__init__(store, context.listener)
        self.context = context
        self.work_dir = context.folder
        self.task = context.task
        self.evaluations = evaluations
        self.injected: Sequence[str] = ()
        self._asked_at: dict[tuple[str, int], float] = {}
        self.summary = Summary(store, context.task.primitive_set)
        config = context.config
        screen: Screener = pass_all
        if config.screening.active:
            screen = RecordedScreener(store, self.task.primitive_set, evaluations.screenings, self.listener.say)
        self.strategy = make_strategy(self.task.primitive_set, config.search, config.seed, screen)
        self.controller = Controller(config, store, self.strategy, evaluations, self.listener, interrupt)

    def outcome(self) -> Outcome:
        final = self._prepare()
        rivals = self._tuned_rivals()
        self._search(rivals)
        ranking = self.summary.ranking()
        if not ranking:
            got = f"no distiller could be trained ({self.strategy.counts})"
            raise DetectorError(f"{got}; look at gp_search show {self.work_dir}")
        judging = Judging(self.context, self.summary, self.store, self.evaluations, self.controller, ranking, rivals)
        judging.hold(final)
        self._note_noise()
        best = self.summary.winner(ranking) or ranking[0]
        self._write(best)
        self._paint(best)
        self.store.record_event(FINISHED)
        strategy, summary = self.strategy, self.summary.to_json()
        return Outcome(best.distiller, strategy.hall_of_fame, strategy.logbook, summary, self.work_dir)

    def _prepare(self) -> FinalRound:
        """Plan the run; train the teacher, the students alone and the anchors; return the final round."""
        wished = plan_final_round(self.context.config, self.strategy.plan())
        final = self.controller.begin(wished, lambda final: self.context.waiting(self.store, _alone(final)))
        self.context.train_baselines(self.store, self.evaluations, _alone(final), self.controller.over)
        self.context.train_anchors(self.evaluations, self.controller.watch.anchors())
        self._note_noise(say=True)
        return final

    def _tuned_rivals(self) -> list[Rival]:
        """Return the rivals at their best, as far as the budget has room for finding it; decided once."""
        recorded = self.store.events(RIVALS_TUNED)
        if not recorded:
            each, config = self.controller.tuning(), self.context.config
            tuning = RivalTuning(
                self.task.primitive_set,
                WeightRange(*config.search.weight_range),
                self.evaluations,
                self.summary.trial,
                self.context.called["rivals"],
                self.listener.say,
                *self.controller.watch.tuning(),
            )
            found = [asdict(one) for one in tuning.rivals(config.verdict.rivals, each)]
            self.store.record_event(RIVALS_TUNED, rivals=found)
            recorded = self.store.events(RIVALS_TUNED)
        self.controller.tuned()
        return [Rival.from_json(one) for one in recorded[0].detail["rivals"]]

    def _search(self, rivals: Sequence[Rival]) -> None:
        """Search; the rivals at their best join the first generation: their scores are known already."""
        grammar, say = self.task.primitive_set, self.listener.say
        self.strategy.start_with(starting(self.context.config.search, grammar, self.evaluations.scales, say))
        best = [parse_distiller(one.best.text, grammar) for one in rivals if one.best]
        self.injected = [in_units(one, self.evaluations.scales).text for one in best]
        evaluator = Halving(self.controller.watch, self.context.config.proxy)
        evaluate, ahead = candidates_to(evaluator, self.summary.trial), self.context.config.search.ahead
        run_search(self.strategy, evaluate, self, ahead)
        if self.context.config.proxy.rungs:
            shutil.rmtree(self.task.rungs, ignore_errors=True)
        self._note_noise(say=True)

    def begins(self, strategy: Strategy) -> None:
        """Decide before the first generation, which the rivals join."""
        self.controller.begin_search(self.injected)

    def asked(self, candidates: Sequence[Candidate]) -> None:
        """Record who is trained, and note when."""
        super().asked(candidates)
        self._asked_at[candidates[0].stage, candidates[0].generation] = time.time()
        texts = [candidate.distiller.text for candidate in candidates]
        self.controller.watch.expect([text for text in texts if self.store.score(self.summary.trial(text)) is None])

    def answered(self, strategy: Strategy, candidates: Sequence[Candidate]) -> None:
        """Clean up once a generation is answered; a replay has no need to."""
        self.controller.watch.forget([candidate.distiller.text for candidate in candidates])
        stage, number = candidates[0].stage, candidates[0].generation
        if self.store.generation(stage, number) is None:
            if self.context.config.proxy.rungs:
                ahead = self.context.config.search.ahead
                forget_waiting(self.task, self._asked_at[stage, number] if ahead else time.time())
            self._note_noise()

    def goes_on(self, strategy: Strategy, candidates: Sequence[Candidate]) -> None:
        """Decide what follows."""
        self.controller.decide(candidates[0].stage, candidates[0].generation)

    def _note_noise(self, *, say: bool = False) -> None:
        """Record what a difference of scores is worth, and say it, once enough is known."""
        noise = self.summary.noise
        if noise is None:
            return
        self.store.record_event(NOISE, words=str(noise))
        if say:
            self.listener.say(f"scores of {self.context.config.proxy.iterations} iterations: {noise}")

    def _paint(self, best: Ranked) -> None:
        """Paint what the watched students of the final round find."""
        try:
            paint_finalists(self.store, self.summary.verdict, best.text, self.task, self.work_dir)
        except OSError as error:  # a full disk: the result is safe in the store
            self.listener.say(f"not painted: what the students find ({error.strerror})")

    def _write(self, best: Ranked) -> None:
        caption = f"{self.summary.standing}: {self.summary.caption(best)}"
        panels = [Panel(best.distiller, self.task.primitive_set, caption)]
        for name, fmt in (("distiller.json", "json"), ("tree.png", "png")):
            try:
                write_panels(panels, self.work_dir / name, fmt)
            except UserError as error:  # a tree too large to draw, a full disk: the result is safe in the store
                self.listener.say(f"not written: {name} ({error})")
