"""What comes before the first candidate: the teacher, students to start from, and students alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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

_WHO = {TeacherRequest: "teacher", StartRequest: "half-trained student", ProbeRequest: "student for calibration"}


@dataclass(frozen=True)
class Baselines:
    """Trains the teacher and the students without distillation; skips finished work.

    Attributes:
        over: tells when the budget is over; a training that is not done by then is abandoned.
    """

    task: ProxyTask
    store: Store
    evaluations: EvaluationService
    listener: Listener
    over: Callable[[], bool]

    def train(self, alone: Sequence[Trial], probe_seed: int) -> None:
        """Train and score the teacher and, beside it, students alone and the one that scales are measured on.

        Raises:
            DetectorError: if one of them fails to train.
            ConfigError: if the budget ends before.
        """
        rounds = missing_requests(self.task, self.store, alone, probe_seed)
        total = len(alone) + 2 + len(rounds[1])
        self.listener.phase("teacher and students alone", total, total - sum(map(len, rounds)))
        for requests in rounds:
            self._answer(requests)
        self.listener.say(_where_kept(self.task))

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
        self.listener.say(f"AP on selection: teacher {ceiling:.3f}, student alone {min(reached):.3f} to {best:.3f}")
        known = curves(self.store.events())
        for line in prospects(known.get("student", ()), known.get("teacher", ()), ceiling):
            self.listener.say(line)
        if ceiling <= best and require_better_teacher:
            raise DetectorError(
                f"the teacher's AP on selection is {ceiling:.3f}, the student's alone reaches {best:.3f}; "
                "give a better teacher, or set require_better_teacher=False to go on"
            )

    def _answer(self, requests: Sequence[Request]) -> None:
        answered = 0
        for request, answer in self.evaluations.prepared(requests, self.over):
            answered += 1
            if isinstance(request, CurveRequest):
                answer, points = answer
                self.store.record_event(CURVE, role="student", points=points)
                request = request.trial
            if isinstance(request, Trial):
                self.store.record_score(request, answer, NONE)
            elif isinstance(request, TeacherRequest) and self.store.score(TEACHER) is None:
                if points := teacher_curve(self.task.teacher.checkpoint):
                    self.store.record_event(CURVE, role="teacher", points=points)
                self.store.record_score(TEACHER, answer, TEACHER.distiller)
            self.listener.answered(_WHO.get(type(request), "student alone"), answer)
        if answered < len(requests):
            got = f"the budget ended before the search: {answered} of {len(requests)} trainings of teacher and students"
            raise ConfigError(f"{got} alone are done, and kept; start again with a larger --budget")

    def _known(self, trial: Trial) -> Score:
        score = self.store.score(trial)
        assert score is not None
        return score


def missing_requests(task: ProxyTask, store: Store, alone: Sequence[Trial], probe_seed: int) -> list[list[Request]]:
    """Return what is still to be trained before the search, as rounds of which each needs the one before."""
    missing: list[Request] = [trial for trial in alone if store.score(trial) is None]
    if missing and not task.settings.decay:  # the way of a falling rate tells nothing of longer trainings
        longest = max(alone, key=lambda trial: trial.iterations)
        watched = CurveRequest(longest, looks(longest.iterations, CURVE_SHARES))
        missing = [watched if request == longest else request for request in missing]
    if not task.probe.exists():
        missing.insert(0, ProbeRequest(probe_seed))
    outputs = task.teacher_outputs
    if store.score(TEACHER) is None or (outputs and not outputs.exists()):
        missing.insert(0, TeacherRequest())
    # Students that inherit need the trained teacher, and all others the students that they start from.
    first: list[Request] = [r for r in missing if isinstance(r, TeacherRequest)] if task.inherit else []
    starts: list[Request] = []
    if task.settings.start == "half_trained":
        files = {seed: task.start(seed) for seed in (probe_seed, *(trial.seed for trial in alone))}
        starts += [StartRequest(seed) for seed, path in files.items() if path and not path.exists()]
    return [first, starts, [request for request in missing if request not in first]]


def _where_kept(task: ProxyTask) -> str:
    """Say where the teacher's outputs are."""
    path, settings = task.teacher_outputs, task.settings
    if path is None:
        return "the teacher runs at every step"
    size = path.stat().st_size / 2**20
    loaded = settings.device != "cpu" and size <= settings.teacher_memory_mb
    where = f"in the memory of {settings.device}" if loaded else "mapped from the disk"
    return f"the teacher's outputs are kept, {size:.0f} MiB, {where}"
