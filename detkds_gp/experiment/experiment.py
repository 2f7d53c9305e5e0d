"""An experiment: config in, searched and judged distiller out; killed anywhere, it continues by replay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from deap import tools

from detkds_gp.environment import check_environment
from detkds_gp.errors import DetectorError, StoreError
from detkds_gp.execution import Executor, LocalExecutor, SerialExecutor
from detkds_gp.experiment.answers import Answers
from detkds_gp.experiment.config import ExperimentConfig, load_config
from detkds_gp.experiment.listener import Listener
from detkds_gp.experiment.prepare import Prepared, gather, prepare
from detkds_gp.experiment.summary import TEACHER, Ranked, Summary
from detkds_gp.export import write_export
from detkds_gp.fitness import ProxyWorker
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

    def __init__(self, config: ExperimentConfig, work_dir: str | Path, primitive_set: PrimitiveSet | None = None) -> None:
        self.config = config
        self.work_dir = Path(work_dir)
        self.primitive_set = primitive_set

    @classmethod
    def from_config(
        cls,
        path: str | Path,
        work_dir: str | Path | None = None,
        primitive_set: PrimitiveSet | None = None,
        **options: Any,
    ) -> Experiment:
        """Make an experiment of a config file; the work directory defaults to ``work_dirs/<its name>``.

        Raises:
            ConfigError: if the config is missing or broken.
        """
        return cls(load_config(path, options), work_dir or Path("work_dirs") / Path(path).stem, primitive_set)

    def run(self, listener: Listener | None = None) -> Outcome:
        """Search, judge and write the result; what was answered before is not computed again.

        Raises:
            UserError: a mistake in config, data, detectors or work directory, in one line.
        """
        listener = listener or Listener()
        check_environment()
        materials = gather(self.config, self.primitive_set)
        with Store.open(self.work_dir) as store:
            store.begin(materials.fingerprint(self.config))
            store.record_event("started")
            prepared = prepare(self.config, materials, self.work_dir, listener)
            _remember_teacher(store, prepared.teacher)
            answers = Answers(store, partial(self._executor, prepared), listener, self.config.baseline_seeds[0])
            try:
                return _Run(self, store, answers, prepared, listener).outcome()
            finally:
                answers.close()

    def _executor(self, prepared: Prepared) -> Executor:
        execution = self.config.execution
        worker = ProxyWorker(prepared.task)
        if execution.executor == "serial":
            torch.set_num_threads(self.config.threads)
            return SerialExecutor(worker)
        return LocalExecutor(worker, execution.workers, execution.time_limit_seconds, self.config.threads)


def _remember_teacher(store: Store, score: Score) -> None:
    known = store.score(TEACHER)
    if known is None:
        store.record_score(TEACHER, score)
    elif (known.ap, known.test_ap) != (score.ap, score.test_ap):
        raise StoreError(
            f"the teacher's AP is {score.ap}, recorded in {store.path} is {known.ap}: its checkpoint has changed; use another --work-dir"
        )


class _Run:
    """One run of an experiment, with its rooms open."""

    def __init__(self, experiment: Experiment, store: Store, answers: Answers, prepared: Prepared, listener: Listener) -> None:
        self.config = experiment.config
        self.work_dir = experiment.work_dir
        self.store = store
        self.answers = answers
        self.prepared = prepared
        self.primitive_set = prepared.task.primitive_set
        self.listener = listener
        self.summary = Summary(store, self.primitive_set)

    def outcome(self) -> Outcome:
        self.answers.probe(self.prepared.task.probe.exists())
        self._baseline()
        search = Search(self.primitive_set, self.config.search, self.config.seed)
        self._search(search)
        ranking = self.summary.ranking()
        if not ranking:
            raise DetectorError(_nothing_worked(search))
        self._verdict(ranking)
        self._write(ranking[0])
        self.store.record_event("finished")
        return Outcome(ranking[0].distiller, search.hall_of_fame, search.logbook, self.summary.to_json(), self.work_dir)

    def _baseline(self) -> None:
        trials = [Trial(NONE, self.config.proxy.iterations, seed) for seed in self.config.baseline_seeds]
        scores = self.answers.scores("baseline", [(trial, Distiller(), NONE) for trial in trials])
        failed = next((score for score in scores if not score.ok), None)
        if failed is not None:
            raise DetectorError(f"the student alone fails to train: {failed.failure} ({failed.detail}); lower proxy.optimizer.lr")
        best, teacher = max(score.ap or 0.0 for score in scores), self.prepared.teacher.ap or 0.0
        if teacher <= best and self.config.require_better_teacher:
            raise DetectorError(
                f"the teacher's AP on selection is {teacher:.3f}, the student's alone reaches {best:.3f}; "
                "give a better teacher, or set require_better_teacher=False to go on"
            )

    def _search(self, search: Search) -> None:
        while candidates := search.ask():
            for c in candidates:
                self.store.record_birth(c.distiller.text, c.stage, c.niche, c.generation, c.parents)
            stage, number = candidates[0].stage, candidates[0].generation
            logged = len(search.logbook)
            asked = [(self.summary.trial(c.distiller.text), c.distiller, c.niche) for c in candidates]
            search.tell(self.answers.scores(f"{stage} {number}", asked))
            records = [dict(record) for record in search.logbook[logged:]]
            self.listener.generation(records)
            self.store.record_generation(stage, number, search.counts, {"niches": records})

    def _verdict(self, ranking: list[Ranked]) -> None:
        """Train baseline, winner and every knowledge's best on seeds that the search never used."""
        rivals = {ranking[0].text: ranking[0].distiller, NONE: Distiller()}
        rivals |= {ranked.text: ranked.distiller for ranked in self.summary.champions(ranking).values()}
        asked = [(trial, distiller, "verdict") for text, distiller in rivals.items() for trial in self.summary.verdict_trials(text)]
        self.answers.scores("verdict", asked)

    def _write(self, best: Ranked) -> None:
        path = self.work_dir / "distiller.json"
        write_export(best.distiller, self.primitive_set, path, "json")
        write_export(best.distiller, self.primitive_set, self.work_dir / "tree.png", "png")


def _nothing_worked(search: Search) -> str:
    return f"no distiller could be trained: {json.dumps(search.counts)}; look at gp_search show"
