"""The context of a run: task, store and evaluation service, put together at one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from detkds_gp.config import ExperimentConfig
from detkds_gp.data.summary import summarize
from detkds_gp.evaluation import (
    UNLIMITED,
    Allowance,
    EvaluationService,
    Interrupt,
    Packing,
    Question,
    make_executor,
    pack_size,
)
from detkds_gp.execution import Factory
from detkds_gp.fitness import ProxyTask, ProxyWorker, Request
from detkds_gp.language import NONE, make_distiller, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.naming import bind, in_formulas, names
from detkds_gp.results.grammar import write_grammar
from detkds_gp.score import Trial
from detkds_gp.setup.baselines import Baselines, missing_requests
from detkds_gp.setup.prepare import Materials, prepare
from detkds_gp.store import Store

RUINOUS = 300.0
"""What the weight of an anchor is multiplied by, to have one bad formula for certain."""


@dataclass(frozen=True)
class RunContext:
    """A work directory with all that trainings in it need; nothing is open yet.

    Attributes:
        config: its warm start and its rivals are formulas.
        folder: where everything is written.
        worker: answers requests in each worker.
        packing: which candidates a worker trains side by side.
        fingerprint: what the folder's store is bound to.
        called: the names that stood for the config's formulas.
        data: what the splits hold, a line each.
    """

    config: ExperimentConfig
    folder: Path
    task: ProxyTask
    worker: Factory
    packing: Packing
    fingerprint: Mapping[str, Any]
    called: Mapping[str, Any]
    listener: Listener
    data: Sequence[str] = ()

    @classmethod
    def prepared(cls, config: ExperimentConfig, materials: Materials, folder: Path, listener: Listener) -> RunContext:
        """Check the pair of a config and spell out its names; nothing is trained and no store is made.

        Raises:
            UserError: a mistake in config, data or detectors, in one line.
        """
        task = prepare(config, materials, folder, listener)
        spelled = in_formulas(config, task, folder, listener)
        execution = config.execution
        return cls(
            config=spelled,
            folder=folder,
            task=task,
            worker=ProxyWorker(task, config.screening),
            packing=Packing(execution.pack or pack_size(task, execution.workers), execution.workers),
            fingerprint=materials.fingerprint(spelled),
            called=names(config),
            listener=listener,
            data=summarize(materials.splits).lines(),
        )

    @contextmanager
    def open(self, interrupt: Interrupt, *, extra: bool = False) -> Iterator[tuple[Store, EvaluationService]]:
        """Bind the folder's store, or compare, and give it with the answers that it and the workers have.

        What is recorded within is no cost of a search if it is extra.

        Raises:
            StoreError: the store cannot be written, or is bound to another search.
        """
        make = partial(make_executor, self.config, self.worker, self.task.primitive_set)
        with Store.open(self.folder) as store, store.extra() if extra else nullcontext():
            if extra:
                store.begin(self.fingerprint)
            else:
                bind(store, self.fingerprint, self.called)
            write_grammar(self.folder, self.task.primitive_set)
            seed, steps = self.config.baseline_seeds[0], self.config.proxy.iterations
            evaluations = EvaluationService(store, make, self.listener, seed, interrupt, self.packing, steps)
            try:
                yield store, evaluations
            finally:
                evaluations.close()

    def waiting(self, store: Store, more: Sequence[Trial] = ()) -> list[Request]:
        """Return what `train_baselines`, with more questions, and `train_anchors` would still have to train."""
        asked = list(dict.fromkeys([*self._alone, *more]))
        rounds = missing_requests(self.task, store, asked, self.config.baseline_seeds[0])
        anchors = [one.trial for one in self._anchors if store.score(one.trial) is None]
        return [*(request for requests in rounds for request in requests), *anchors]

    @property
    def _alone(self) -> list[Trial]:
        return [Trial(NONE, self.config.proxy.iterations, seed) for seed in self.config.baseline_seeds]

    def train_baselines(
        self,
        store: Store,
        evaluations: EvaluationService,
        more: Sequence[Trial] = (),
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train the teacher and the students without distillation, and say what they reach.

        More of these students may be asked for, besides those of ``baseline_seeds``.

        Raises:
            DetectorError: if one of them fails to train, or the teacher is not better and has to be.
            ConfigError: if the budget ends before.
        """
        config, alone = self.config, self._alone
        baselines = Baselines(self.task, store, evaluations, self.listener, over)
        baselines.train(list(dict.fromkeys([*alone, *more])), config.baseline_seeds[0])
        baselines.check(alone, config.require_better_teacher)

    def train_anchors(self, evaluations: EvaluationService, allowance: Allowance = UNLIMITED) -> None:
        """Train, after the baselines, the formulas that show before the search how much of a score is luck."""
        if self._anchors:
            evaluations.scores("anchors of the noise model", self._anchors, allowance)

    @property
    def _anchors(self) -> list[Question]:
        """The first rivals on three seeds, and one at a ruinous weight on one: a ruined student has no luck to show."""
        config, grammar = self.config, self.task.primitive_set
        chosen = [parse_distiller(text, grammar) for text in config.verdict.rivals.values()][: config.anchors]
        ruined = [
            make_distiller([replace(term, weight=RUINOUS * term.weight) for term in rival.terms], grammar)
            for rival in chosen[:1]
            if config.anchors > 1
        ]
        sound = [(rival, seed) for rival in chosen[: max(1, config.anchors - 1)] for seed in config.baseline_seeds[:3]]
        return [
            Question(Trial(distiller.text, config.proxy.iterations, seed), distiller, "anchor")
            for distiller, seed in [*sound, *((one, config.baseline_seeds[0]) for one in ruined)]
        ]
