"""Prices: what trainings cost in the unit of a budget, from the pace measured first and from all that followed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from statistics import fmean, pstdev

from detkds_gp.evaluation import EvaluationService
from detkds_gp.evaluation.halving import climbers
from detkds_gp.fitness import (
    CurveRequest,
    PaceRequest,
    PackRequest,
    ProbeRequest,
    ProxySettings,
    Request,
    StartRequest,
    TeacherRequest,
)
from detkds_gp.language import NONE
from detkds_gp.score import NOT_BEGUN, Pace, Score, Trial
from detkds_gp.steering.budget import Kind
from detkds_gp.store import Store
from detkds_gp.store.events import PACE

UNSURE = 1.25
"""What is put on a mean of which no spread is known yet."""
TUNED_AT_A_TIME = 2
_RECENT = 3
"""Trainings of every worker that tell how fast the machine is now."""


def measured_pace(store: Store, evaluations: EvaluationService, workers: int, say: Callable[[str], None]) -> Pace:
    """Return the recorded pace, or let every worker measure it at the same time and record their mean."""
    if measured := store.events(PACE):
        return Pace(**measured[0].detail)
    say("timing a few steps of student and teacher")
    paces: list[Pace] = [pace for _, pace in evaluations.prepared([PaceRequest()] * workers)]
    pace = Pace(**{name.name: fmean(getattr(one, name.name) for one in paces) for name in fields(Pace)})
    store.record_event(PACE, **vars(pace))
    return pace


@dataclass
class Prices:
    """Says what trainings cost now, in the unit of a budget.

    The pace was measured before anything else; every answered training says how much slower or faster it is now.

    Attributes:
        length: training steps of everyone in the final round.
        workers: side by side.
        share: GPUs that each of them holds.
        overhead: worker seconds that a candidate costs besides its training; below 0: as the pace says.
        recent: how many times the measured pace the last trainings took.
    """

    pace: Pace
    proxy: ProxySettings
    length: int
    workers: int
    share: float
    kind: Kind
    overhead: float = -1.0
    recent: list[float] = field(default_factory=list)
    _at_work: dict[Trial, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.overhead = self.pace.overhead if self.overhead < 0 else self.overhead

    @property
    def on_the_clock(self) -> Prices:
        """The same prices in seconds on the clock."""
        return replace(self, kind="wall")

    def _priced(self, trainings: int, worker_seconds: float, clock_seconds: float) -> float:
        """Return that of the three that the budget counts."""
        if self.kind == "evaluations":
            return float(trainings)
        return worker_seconds * self.share if self.kind == "gpu" else clock_seconds

    def learn(self, trial: Trial, score: Score) -> None:
        """Take an answered training into account; failures that came early say nothing."""
        self._at_work.pop(trial, None)
        expected = self.expected(trial)
        told = score.ok or (score.failure != NOT_BEGUN and score.wall_seconds > expected)
        if trial.iterations and expected > 0 and told:
            self.recent.append(score.wall_seconds / expected)
        del self.recent[: -_RECENT * self.workers - 1]

    def begun(self, trials: Sequence[Trial]) -> None:
        """Note what is handed out now to one worker."""
        self._at_work |= dict.fromkeys(trials, (time.monotonic(), sum(map(self.expected, trials))))

    def lost(self, trials: Sequence[Trial]) -> None:
        """Forget trainings that a worker lost; tried once more, they begin anew."""
        for trial in trials:
            self._at_work.pop(trial, None)

    def forget_work(self) -> None:
        """Forget what was at work: it was answered or abandoned."""
        self._at_work.clear()

    def expected(self, request: Request) -> float:
        """Return the seconds of a request at the measured pace."""
        pace = self.pace
        if isinstance(request, PackRequest):
            return sum(map(self.expected, request.trials))
        if isinstance(request, CurveRequest):
            return self.expected(request.trial) + len(request.lengths) * pace.selection
        if isinstance(request, TeacherRequest):
            return pace.teacher
        if isinstance(request, ProbeRequest):
            return self.proxy.calibration_iterations * pace.step
        if isinstance(request, StartRequest):
            return self.proxy.start_iterations * pace.step
        if not isinstance(request, Trial):
            return pace.overhead
        step = pace.step if request.distiller == NONE else pace.distilled
        return self._steps(request) * step + pace.selection + (pace.test if request.test else 0.0)

    def _steps(self, trial: Trial) -> int:
        """Return the steps of a training; on a rung those since the one before."""
        lengths = [0, *self.proxy.rungs, self.proxy.iterations]
        if trial.test or trial.distiller == NONE or trial.iterations not in lengths[1:]:
            return trial.iterations
        return trial.iterations - lengths[lengths.index(trial.iterations) - 1]

    def slowdown(self, careful: bool = False) -> float:
        """Return how many times the measured pace trainings take now; careful: a spread above the last ones' mean."""
        now = time.monotonic()
        waited = [(now - begun) / max(expected, 1e-6) for begun, expected in self._at_work.values()]
        if not self.recent:
            return max([UNSURE if careful else 1.0, *waited])
        mean = fmean(self.recent)
        spread = pstdev(self.recent) if len(self.recent) > 2 else (UNSURE - 1) * mean
        return max([mean + (spread if careful else 0.0), *(mean + (one - mean) / 2 for one in waited)])

    def preparation(self, requests: Sequence[Request]) -> float:
        """Return what the trainings before the search cost, side by side."""
        students = sum(isinstance(request, Trial | CurveRequest) for request in requests)
        each = [self.expected(request) for request in requests]
        return self._priced(students, sum(each), max([sum(each) / self.workers, *each]) * self.slowdown())

    def trainings(self, trials: Sequence[Trial], careful: bool = True) -> float:
        """Return what trainings that share a worker cost."""
        seconds = sum(map(self.expected, trials)) * self.slowdown(careful)
        return self._priced(len(trials), seconds, seconds)

    def at_work_cost(self) -> float:
        """Return what the trainings at work will have cost; time on the clock passes by itself."""
        return 0.0 if self.kind == "wall" else self.trainings(list(self._at_work))

    def generation(self, groups: int, size: int, careful: bool = True) -> float:
        """Return what a generation of some niches costs, each with so many new formulas; careful: rather too much."""
        counts = climbers(size, self.proxy)
        rungs = [Trial("candidate", n, 0) for n in (*self.proxy.rungs, self.proxy.iterations)]
        each = [self.expected(trial) * self.slowdown(careful) for trial in rungs]
        work = sum(groups * count * seconds for count, seconds in zip(counts, each, strict=True))
        work += groups * size * self.overhead
        rounds = sum(math.ceil(groups * n / self.workers) * seconds for n, seconds in zip(counts, each, strict=True))
        return self._priced(groups * sum(counts), work, max(rounds, work / self.workers))

    def tuning(self, rivals: int, each: int, careful: bool = True) -> float:
        """Return what tuning some rivals costs, one after the other, two trainings at a time."""
        seconds = self.expected(Trial("rival", self.proxy.iterations, 0)) * self.slowdown(careful)
        rounds = rivals * math.ceil(each / min(self.workers, TUNED_AT_A_TIME))
        return self._priced(rivals * each, rivals * each * seconds, rounds * seconds)

    def final(self, places: int, seeds: int, careful: bool = True) -> float:
        """Return what judging some formulas on some seeds costs."""
        each = self.expected(Trial("finalist", self.length, 0, test=True)) * self.slowdown(careful)
        trainings = places * seeds
        return self._priced(trainings, trainings * each, math.ceil(trainings / self.workers) * each)
