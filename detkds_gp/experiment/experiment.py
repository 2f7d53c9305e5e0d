"""An experiment: config in, searched and judged distiller out; killed anywhere, it continues by replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deap import tools

from detkds_gp.environment import check_environment
from detkds_gp.errors import DetectorError, UserError
from detkds_gp.execution import Executor
from detkds_gp.experiment.answers import Answers
from detkds_gp.experiment.config import ExperimentConfig, load_config
from detkds_gp.experiment.inbox import Inbox
from detkds_gp.experiment.interrupt import Interrupt, Stopped
from detkds_gp.experiment.listener import Listener
from detkds_gp.experiment.prepare import gather, prepare
from detkds_gp.experiment.provenance import provenance
from detkds_gp.experiment.searching import run_generations
from detkds_gp.experiment.steered import Steered
from detkds_gp.experiment.summary import TEACHER, Ranked, Summary
from detkds_gp.experiment.warm_start import spelled_out
from detkds_gp.experiment.workers import make_executor
from detkds_gp.export import write_export
from detkds_gp.fitness import ProbeRequest, ProxyTask, ProxyWorker, Request, TeacherRequest
from detkds_gp.language import NONE, Distiller, PrimitiveSet
from detkds_gp.score import Score, Trial
from detkds_gp.search import Search
from detkds_gp.store import Store


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
    """A divide-and-conquer search for a distiller of one pair of detectors.

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

    def run(self, listener: Listener | None = None) -> Outcome:
        """Search, judge and write the result; what was answered before is not computed again.

        Raises:
            UserError: a mistake in config, data, detectors or work directory, in one line.
            Stopped: a signal or ``gp_search stop`` asked for an end; the same call continues.
        """
        listener = listener or Listener()
        task, fingerprint, dropped = self._gathered(listener)
        interrupt = Interrupt(self.config.execution.grace_seconds)
        with interrupt.handling_signals(), Store.open(self.work_dir) as store:
            store.begin(fingerprint)
            store.record_event("started", dropped=dropped, **provenance(self.config))
            make = partial(self._executor, task)
            answers = Answers(store, make, listener, self.config.baseline_seeds[0], interrupt)
            try:
                return _Run(self, store, answers, task, listener).outcome(interrupt)
            except Stopped as stopped:
                store.record_event("stopped", reason=str(stopped))
                raise
            finally:
                answers.close()

    def _gathered(self, listener: Listener) -> tuple[ProxyTask, dict[str, Any], list[str]]:
        """Return the task of the workers, what the work directory is bound to, and the inputs left out."""
        check_environment(self.config.proxy.device)
        materials = gather(self.config, self.primitive_set)
        task = prepare(self.config, materials, self.work_dir, listener)
        self.config = spelled_out(self.config, task.primitive_set, task.pair, listener)
        kept = task.primitive_set.declarations
        dropped = [name for name in materials.primitive_set.declarations if name not in kept]
        return task, materials.fingerprint(self.config), dropped

    def _executor(self, task: ProxyTask) -> Executor:
        return make_executor(self.config, ProxyWorker(task), task.primitive_set)


def _written(path: Path | None) -> bool:
    return path is None or path.exists()


_WHO = {TeacherRequest: "teacher", ProbeRequest: "student for calibration"}


class _Run:
    """One run of an experiment, with its rooms open."""

    def __init__(
        self, experiment: Experiment, store: Store, answers: Answers, task: ProxyTask, listener: Listener
    ) -> None:
        self.config = experiment.config
        self.work_dir = experiment.work_dir
        self.store = store
        self.answers = answers
        self.task = task
        self.listener = listener
        self.summary = Summary(store, task.primitive_set)

    def outcome(self, interrupt: Interrupt) -> Outcome:
        steered = Steered(self.config, self.store, self.task.primitive_set, Inbox(self.work_dir), self.listener)
        self._prepare()
        search = Search(self.task.primitive_set, self.config.search, self.config.seed)
        scored = steered.watched(self.answers, interrupt)
        run_generations(search, self.store, self.summary.trial, scored, steered.decide, self.listener)
        ranking = self.summary.ranking()
        if not ranking:
            raise DetectorError(
                f"no distiller could be trained ({search.counts}); look at gp_search show {self.work_dir}"
            )
        self._verdict(ranking)
        self._write(ranking[0])
        self.store.record_event("finished")
        return Outcome(ranking[0].distiller, search.hall_of_fame, search.logbook, self.summary.to_json(), self.work_dir)

    def _prepare(self) -> None:
        """Train and score the teacher and, beside it, the students without distillation."""
        trials = [Trial(NONE, self.config.proxy.iterations, seed) for seed in self.config.baseline_seeds]
        asked = [*trials, *self.summary.verdict_trials(NONE)]
        missing: list[Request] = [trial for trial in asked if self.store.score(trial) is None]
        if not self.task.probe.exists():
            missing.insert(0, ProbeRequest(self.config.baseline_seeds[0]))
        if self.store.score(TEACHER) is None or not _written(self.task.teacher_outputs):
            missing.insert(0, TeacherRequest())
        total = len(asked) + len(_WHO)
        self.listener.phase("teacher and students alone", total, total - len(missing))
        first = missing[:1] if self.task.inherit else []  # students that inherit need the trained teacher
        self._answer(first)
        self._answer(missing[len(first) :])
        self._check_baseline([self._known(trial) for trial in trials], self._known(TEACHER))

    def _answer(self, requests: Sequence[Request]) -> None:
        for request, answer in self.answers.prepared(requests):
            if isinstance(request, Trial):
                self.store.record_score(request, answer, NONE)
            elif isinstance(request, TeacherRequest) and self.store.score(TEACHER) is None:
                self.store.record_score(TEACHER, answer, TEACHER.distiller)
            self.listener.answered(_WHO.get(type(request), "student alone"), answer)

    def _known(self, trial: Trial) -> Score:
        score = self.store.score(trial)
        assert score is not None
        return score

    def _check_baseline(self, alone: Sequence[Score], teacher: Score) -> None:
        for who, score in [("teacher", teacher), *(("student alone", score) for score in alone)]:
            if not score.ok:
                got = f"the {who} fails to train: {score.failure} ({score.detail})"
                raise DetectorError(f"{got}; lower its optimizer.lr and use another --work-dir")
        reached, ceiling = [score.ap or 0.0 for score in alone], teacher.ap or 0.0
        best = max(reached)
        self.listener.say(f"AP on selection: teacher {ceiling:.3f}, student alone {min(reached):.3f} to {best:.3f}")
        if ceiling <= best and self.config.require_better_teacher:
            raise DetectorError(
                f"the teacher's AP on selection is {ceiling:.3f}, the student's alone reaches {best:.3f}; "
                "give a better teacher, or set require_better_teacher=False to go on"
            )

    def _verdict(self, ranking: list[Ranked]) -> None:
        """Train baseline, winner and every knowledge's best on seeds that the search never used."""
        rivals = {ranking[0].text: ranking[0].distiller, NONE: Distiller()}
        rivals |= {ranked.text: ranked.distiller for ranked in self.summary.champions(ranking).values()}
        asked = [
            (trial, distiller, "verdict")
            for text, distiller in rivals.items()
            for trial in self.summary.verdict_trials(text)
        ]
        self.answers.scores("verdict", asked)

    def _write(self, best: Ranked) -> None:
        for name, fmt in (("distiller.json", "json"), ("tree.png", "png")):
            try:
                write_export(best.distiller, self.task.primitive_set, self.work_dir / name, fmt)
            except UserError as error:  # a tree too large to draw, a full disk: the result is safe in the store
                self.listener.say(f"not written: {name} ({error})")
