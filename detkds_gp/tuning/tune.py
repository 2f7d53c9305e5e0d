"""`gp_search tune`: teacher, student alone, then the trainings of one distiller at several weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.config import ExperimentConfig
from detkds_gp.errors import ConfigError, DetectorError
from detkds_gp.evaluation import EvaluationService, Interrupt
from detkds_gp.language import NONE, load_zoo
from detkds_gp.listener import Listener
from detkds_gp.naming import Named, check_applies
from detkds_gp.score import Trial
from detkds_gp.search import WeightRange
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather
from detkds_gp.steering import Budget
from detkds_gp.store import Store
from detkds_gp.tuning.curve import Curve
from detkds_gp.tuning.proportions import Proportions
from detkds_gp.tuning.tuner import LEAST_TRAININGS, Tuner, tuned_aps

TRAININGS = 12


@dataclass(frozen=True)
class Tuned:
    """The weight of a distiller, and what it was found from: APs on selection by weight, and of students alone."""

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
            "coefficients": {term.knowledge: float(f"{term.weight * (term.scale or 1.0):.3g}") for term in found.terms},
            "distiller": found.text,
            "given": self.proportions.given,
            "alone": fmean(self.alone),
            "helps": self.helps,
            "curve": [asdict(point) for point in self.curve.at(sorted({*self.aps, self.weight}))],
            "trainings": len(self.aps),
        }


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
    alike = config.model_copy(
        update={
            "primitive_set": named.primitive_set,
            "knowledge": tuple(term.knowledge for term in distiller.terms),
            "budget": None,
            "require_better_teacher": False,
            "search": config.search.model_copy(update={"warm_start": ()}),
            "verdict": config.verdict.model_copy(update={"rivals": {}}),
        }
    )
    context = RunContext.prepared(alike, gather(alike), work_dir, listener)
    check_applies(named.name, distiller, context.task.primitive_set, load_zoo(config.zoo), context.task.pair)
    interrupt = Interrupt(config.execution.grace_seconds)
    with interrupt.handling_signals(), context.open(interrupt) as (store, evaluations):
        context.train_baselines(store, evaluations)
        return _tuned(named, budget, context, store, evaluations)


def _budget(config: ExperimentConfig) -> Budget:
    budget = Budget.parse(config.budget or str(TRAININGS))
    if budget.kind == "gpu":
        raise ConfigError(f"budget is {budget.text!r}, wanted trainings (12) or wall time (20m)")
    if budget.kind == "evaluations" and budget.amount < LEAST_TRAININGS:
        raise ConfigError(f"budget is {budget.text!r}, wanted {LEAST_TRAININGS} trainings or more for a curve")
    return budget


def _tuned(named: Named, budget: Budget, context: RunContext, store: Store, evaluations: EvaluationService) -> Tuned:
    """Train at one weight after another, next to the student alone that is trained already."""
    config, iterations = context.config, context.config.proxy.iterations
    proportions = Proportions.of(named.distiller, evaluations.scales)
    counted = budget.kind == "evaluations"
    trainings = int(budget.amount) if counted else TRAININGS
    tuner = Tuner(WeightRange(*config.search.weight_range), proportions.starts, trainings)

    def score(weights: Sequence[float]) -> list[float | None]:
        at = ", ".join(f"{weight:g}" for weight in weights)
        asked = proportions.questions(weights, lambda text: Trial(text, iterations, config.baseline_seeds[0]))
        return [found.ap for found in evaluations.scores(f"{named.name} at weight {at}", asked)]

    aps = tuned_aps(tuner, score, (lambda: True) if counted else _within(budget.amount))
    if all(ap is None for ap in aps.values()):
        raise DetectorError(f"no training with {named.name} succeeded, at none of the weights {sorted(aps)}")
    alone = [store.score(Trial(NONE, iterations, seed)) for seed in config.baseline_seeds]
    return Tuned(named.name, proportions, aps, [s.ap for s in alone if s is not None and s.ap is not None])


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
