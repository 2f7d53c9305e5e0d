"""`gp_search tune`: teacher, student alone, then the trainings of one distiller at several weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.config import ExperimentConfig
from detkds_gp.errors import ConfigError, DetectorError
from detkds_gp.evaluation import EvaluationService, Interrupt, Question
from detkds_gp.language import NONE, load_zoo
from detkds_gp.listener import Listener
from detkds_gp.naming import Named, check_applies
from detkds_gp.score import Trial
from detkds_gp.search import WeightRange
from detkds_gp.setup.baselines import Baselines
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather
from detkds_gp.steering import Budget
from detkds_gp.store import Store
from detkds_gp.tuning.curve import Curve
from detkds_gp.tuning.proportions import Proportions
from detkds_gp.tuning.tuner import LEAST_TRAININGS, Aps, Tuner, tuned_aps

TRAININGS = 12


@dataclass(frozen=True)
class Tuned:
    """The weight of a distiller, and what it was found from.

    Attributes:
        name: how the distiller is called.
        proportions: its terms.
        aps: on the selection split by weight, in the order they were trained.
        alone: APs of the student without distillation, on several seeds.
    """

    name: str
    proportions: Proportions
    aps: Mapping[float, float | None]
    alone: Sequence[float]

    @cached_property
    def curve(self) -> Curve:
        """The expected AP of every weight."""
        return Curve(self.aps)

    @property
    def weight(self) -> float:
        """The first term's, in calibrated units, where the expected AP is highest."""
        return self.curve.best

    @property
    def helps(self) -> bool:
        """Whether the best weight is told from the student alone: its whole interval lies above that mean."""
        (best,) = self.curve.at([self.weight])
        return best.low > fmean(self.alone)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: weight, curve, trainings, and what to write elsewhere."""
        found = self.proportions.scaled(self.weight)
        return {
            "name": self.name,
            "weight": self.weight,
            "coefficients": {term.knowledge: _plain(term.weight * (term.scale or 1.0)) for term in found.terms},
            "distiller": found.text,
            "given": self.proportions.given,
            "alone": fmean(self.alone),
            "helps": self.helps,
            "curve": [point.to_json() for point in self.curve.at(sorted({*self.aps, self.weight}))],
            "trainings": len(self.aps),
        }


def _plain(coefficient: float) -> float:
    return float(f"{coefficient:.3g}")


def tune(config: ExperimentConfig, named: Named, work_dir: Path, listener: Listener) -> Tuned:
    """Find a distiller's weight; what was trained in the work directory before is not trained again.

    Args:
        config: of a search on the pair; its ``budget`` is trainings, or wall time for all but the preparation.
        named: from `read_distiller`.
        work_dir: for the store, the teacher's outputs and the student that scales are measured on.
        listener: is told of the trainings.

    Raises:
        UserError: a mistake in config, data, detectors or distiller, in one line.
        Stopped: a signal asked for an end; the same call continues.
    """
    distiller = named.distiller
    if not distiller.terms:
        raise ConfigError(f"got the distiller {NONE!r}, wanted one with a weight to tune")
    budget = _budget(config)
    knowledge = tuple(term.knowledge for term in distiller.terms)
    alike = config.model_copy(
        update={
            "primitive_set": named.primitive_set,
            "knowledge": knowledge,
            "budget": None,
            "search": config.search.model_copy(update={"warm_start": ()}),
            "verdict": config.verdict.model_copy(update={"rivals": {}}),
        }
    )
    context = RunContext.prepared(alike, gather(alike), work_dir, listener)
    task = context.task
    check_applies(named.name, distiller, task.primitive_set, load_zoo(config.zoo), task.pair)
    interrupt = Interrupt(config.execution.grace_seconds)
    with interrupt.handling_signals(), context.open(interrupt) as (store, evaluations):
        return _Tuning(context, store, evaluations).tuned(named, budget)


def _budget(config: ExperimentConfig) -> Budget:
    budget = Budget.parse(config.budget or str(TRAININGS))
    if budget.kind == "gpu":
        raise ConfigError(f"budget is {budget.text!r}, wanted trainings (12) or wall time (20m)")
    if budget.kind == "evaluations" and budget.amount < LEAST_TRAININGS:
        raise ConfigError(f"budget is {budget.text!r}, wanted {LEAST_TRAININGS} trainings or more for a curve")
    return budget


class _Tuning:
    """One tuning, with its context open."""

    def __init__(self, context: RunContext, store: Store, evaluations: EvaluationService) -> None:
        self._context = context
        self._store = store
        self._evaluations = evaluations
        self._seed = context.config.baseline_seeds[0]

    def tuned(self, named: Named, budget: Budget) -> Tuned:
        config = self._context.config
        alone = [Trial(NONE, config.proxy.iterations, seed) for seed in config.baseline_seeds]
        baselines = Baselines(self._context.task, self._store, self._evaluations, self._context.listener)
        baselines.train(alone, self._seed)
        baselines.check(alone, require_better_teacher=False)
        proportions = Proportions.of(named.distiller, self._evaluations.scales)
        counted = budget.kind == "evaluations"
        low, high = config.search.weight_range
        tuner = Tuner(WeightRange(low, high), proportions.starts, int(budget.amount) if counted else TRAININGS)
        goes_on = (lambda: True) if counted else _within(budget.amount)
        aps = self._aps(named.name, proportions, tuner, goes_on)
        if all(ap is None for ap in aps.values()):
            raise DetectorError(f"no training with {named.name} succeeded, at none of the weights {sorted(aps)}")
        baseline = [self._store.score(trial) for trial in alone]
        return Tuned(named.name, proportions, aps, [s.ap for s in baseline if s is not None and s.ap is not None])

    def _aps(self, name: str, proportions: Proportions, tuner: Tuner, goes_on: Callable[[], bool]) -> Aps:
        def score(weights: Sequence[float]) -> list[float | None]:
            made = [proportions.at(weight) for weight in weights]
            asked = [Question(self._trial(one.text), one, one.terms[0].knowledge) for one in made]
            at = ", ".join(f"{weight:g}" for weight in weights)
            return [found.ap for found in self._evaluations.scores(f"{name} at weight {at}", asked)]

        return tuned_aps(tuner, score, goes_on)

    def _trial(self, text: str) -> Trial:
        return Trial(text, self._context.config.proxy.iterations, self._seed)


def _within(seconds: float) -> Callable[[], bool]:
    """Return what tells whether another round fits, going by the longest so far."""
    started = last = time.monotonic()
    longest = 0.0

    def goes_on() -> bool:
        nonlocal last, longest
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        return now - started + longest <= seconds

    return goes_on
