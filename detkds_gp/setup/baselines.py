"""What comes before the first candidate: the teacher, students to start from, and students alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from detkds_gp.curves import prospects
from detkds_gp.errors import ConfigError, DetectorError
from detkds_gp.evaluation import EvaluationService
from detkds_gp.fitness import (
    CurveRequest,
    ProbeRequest,
    ProxyTask,
    Request,
    StartRequest,
    TeacherRequest,
    looks,
    teacher_curve,
)
from detkds_gp.language import NONE
from detkds_gp.listener import Listener
from detkds_gp.score import TEACHER, Score, Trial
from detkds_gp.store import Store
from detkds_gp.store.events import CURVE, curves

CURVE_SHARES = (0.15, 0.3, 0.45, 0.6, 0.8)
"""Of a training, where its student is looked at on the way."""

_WHO = {
    TeacherRequest: "teacher",
    StartRequest: "half-trained student",
    ProbeRequest: "student for calibration",
}


class Baselines:
    """Trains the teacher and the students without distillation; skips finished work.

    Args:
        task: of the workers.
        store: open for writing.
        evaluations: asks the workers.
        listener: is told of every training.
        over: tells when the budget is over; a training that is not done by then is abandoned.
    """

    def __init__(
        self,
        task: ProxyTask,
        store: Store,
        evaluations: EvaluationService,
        listener: Listener,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._task = task
        self._over = over
        self._store = store
        self._evaluations = evaluations
        self._listener = listener

    def train(self, alone: Sequence[Trial], probe_seed: int) -> None:
        """Train and score the teacher and, beside it, students without distillation.

        Args:
            alone: the questions about students without distillation.
            probe_seed: of the student that scales are measured on.

        Raises:
            DetectorError: if one of them fails to train.
            ConfigError: if the budget ends before.
        """
        rounds = missing_requests(self._task, self._store, alone, probe_seed)
        total = len(alone) + 2 + len(rounds[1])
        self._listener.phase("teacher and students alone", total, total - sum(map(len, rounds)))
        for requests in rounds:
            self._answer(requests)
        self._listener.say(_where_kept(self._task))

    def check(self, alone: Sequence[Trial], require_better_teacher: bool) -> None:
        """Say what teacher and students reach.

        Raises:
            DetectorError: if one of them has failed, or the teacher is not better and has to be.
        """
        scores = [self._known(trial) for trial in alone]
        for who, score in [("teacher", self._known(TEACHER)), *(("student alone", score) for score in scores)]:
            if not score.ok:
                got = f"the {who} fails to train: {score.failure} ({score.detail})"
                raise DetectorError(f"{got}; lower its optimizer.lr and use another --work-dir")
        reached, ceiling = [score.ap or 0.0 for score in scores], self._known(TEACHER).ap or 0.0
        best = max(reached)
        self._listener.say(f"AP on selection: teacher {ceiling:.3f}, student alone {min(reached):.3f} to {best:.3f}")
        known = curves(self._store.events())
        for line in prospects(known.get("student", ()), known.get("teacher", ()), ceiling):
            self._listener.say(line)
        if ceiling <= best and require_better_teacher:
            raise DetectorError(
                f"the teacher's AP on selection is {ceiling:.3f}, the student's alone reaches {best:.3f}; "
                "give a better teacher, or set require_better_teacher=False to go on"
            )

    def _answer(self, requests: Sequence[Request]) -> None:
        answered = 0
        for request, answer in self._evaluations.prepared(requests, self._over):
            answered += 1
            if isinstance(request, CurveRequest):
                answer, points = answer
                self._store.record_event(CURVE, role="student", points=points)
                request = request.trial
            if isinstance(request, Trial):
                self._store.record_score(request, answer, NONE)
            elif isinstance(request, TeacherRequest) and self._store.score(TEACHER) is None:
                if points := teacher_curve(self._task.teacher.checkpoint):
                    self._store.record_event(CURVE, role="teacher", points=points)
                self._store.record_score(TEACHER, answer, TEACHER.distiller)
            self._listener.answered(_WHO.get(type(request), "student alone"), answer)
        if answered < len(requests):
            got = f"the budget ended before the search: {answered} of {len(requests)} trainings of teacher and students"
            raise ConfigError(f"{got} alone are done, and kept; start again with a larger --budget")

    def _known(self, trial: Trial) -> Score:
        score = self._store.score(trial)
        assert score is not None
        return score


def _watched(trial: Trial) -> CurveRequest:
    """Return the request that looks at a training on its way."""
    return CurveRequest(trial, looks(trial.iterations, CURVE_SHARES))


def missing_requests(task: ProxyTask, store: Store, alone: Sequence[Trial], probe_seed: int) -> list[list[Request]]:
    """Return what is still to be trained before the search, as rounds of which each needs the one before.

    Args:
        task: of the workers.
        store: what is recorded in it is not trained again.
        alone: the questions about students without distillation.
        probe_seed: of the student that scales are measured on.
    """
    missing: list[Request] = [trial for trial in alone if store.score(trial) is None]
    if missing and not task.settings.decay:  # the way of a falling rate tells nothing of longer trainings
        longest = max(alone, key=lambda trial: trial.iterations)
        missing = [_watched(longest) if request == longest else request for request in missing]
    if not task.probe.exists():
        missing.insert(0, ProbeRequest(probe_seed))
    if store.score(TEACHER) is None or not _written(task.teacher_outputs):
        missing.insert(0, TeacherRequest())
    starts = _starts(task, [probe_seed, *(trial.seed for trial in alone)])
    # Students that inherit need the trained teacher, and all others the students that they start from.
    first: list[Request] = [r for r in missing if isinstance(r, TeacherRequest)] if task.inherit else []
    return [first, starts, [request for request in missing if request not in first]]


def _starts(task: ProxyTask, seeds: Sequence[int]) -> list[Request]:
    """Return what makes the half-trained students that are missing."""
    if task.settings.start != "half_trained":
        return []
    files = {seed: task.start(seed) for seed in seeds}
    return [StartRequest(seed) for seed, path in files.items() if path is not None and not path.exists()]


def _written(path: Path | None) -> bool:
    return path is None or path.exists()


def _where_kept(task: ProxyTask) -> str:
    """Say where the teacher's outputs are."""
    path, settings = task.teacher_outputs, task.settings
    if path is None:
        return "the teacher runs at every step"
    size = path.stat().st_size / 2**20
    loaded = settings.device != "cpu" and size <= settings.teacher_memory_mb
    where = f"in the memory of {settings.device}" if loaded else "mapped from the disk"
    return f"the teacher's outputs are kept, {size:.0f} MiB, {where}"
