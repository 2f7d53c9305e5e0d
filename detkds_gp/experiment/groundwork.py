"""What comes before the first candidate: the teacher, students to start from, and students alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detkds_gp.errors import DetectorError
from detkds_gp.experiment.answers import Answers
from detkds_gp.experiment.listener import Listener
from detkds_gp.experiment.results import TEACHER
from detkds_gp.fitness import ProbeRequest, ProxyTask, Request, StartRequest, TeacherRequest
from detkds_gp.gain import resolution
from detkds_gp.language import NONE
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store

_WHO = {
    TeacherRequest: "teacher",
    StartRequest: "half-trained student",
    ProbeRequest: "student for calibration",
}


class Groundwork:
    """Trains what a run stands on; what is recorded or written already is not done again.

    Args:
        task: of the workers.
        store: open for writing.
        answers: asks the workers.
        listener: hears of every training.
    """

    def __init__(self, task: ProxyTask, store: Store, answers: Answers, listener: Listener) -> None:
        self._task = task
        self._store = store
        self._answers = answers
        self._listener = listener

    def lay(self, alone: Sequence[Trial], probe_seed: int) -> None:
        """Train and score the teacher and, beside it, students without distillation.

        Args:
            alone: the questions about students without distillation.
            probe_seed: of the student that scales are measured on.

        Raises:
            DetectorError: if one of them fails to train.
        """
        missing: list[Request] = [trial for trial in alone if self._store.score(trial) is None]
        if not self._task.probe.exists():
            missing.insert(0, ProbeRequest(probe_seed))
        if self._store.score(TEACHER) is None or not _written(self._task.teacher_outputs):
            missing.insert(0, TeacherRequest())
        starts = self._starts([probe_seed, *(trial.seed for trial in alone)])
        total = len(alone) + len(starts) + 2
        self._listener.phase("teacher and students alone", total, total - len(missing) - len(starts))
        # Students that inherit need the trained teacher, and all others the students that they start from.
        first = [r for r in missing if isinstance(r, TeacherRequest)] if self._task.inherit else []
        for requests in (first, starts, [request for request in missing if request not in first]):
            self._answer(requests)
        self._listener.say(_where_kept(self._task))

    def check(self, alone: Sequence[Trial], require_better_teacher: bool) -> None:
        """Say what teacher and students reach, and how much of it is noise.

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
        if len(reached) > 1:
            self._listener.say(
                f"two trainings whose APs differ by less than {resolution(reached):.3f} may differ by luck"
            )
        if ceiling <= best and require_better_teacher:
            raise DetectorError(
                f"the teacher's AP on selection is {ceiling:.3f}, the student's alone reaches {best:.3f}; "
                "give a better teacher, or set require_better_teacher=False to go on"
            )

    def _starts(self, seeds: Sequence[int]) -> list[Request]:
        """Return what makes the half-trained students that are missing."""
        if self._task.settings.start != "half_trained":
            return []
        files = {seed: self._task.start(seed) for seed in seeds}
        return [StartRequest(seed) for seed, path in files.items() if path is not None and not path.exists()]

    def _answer(self, requests: Sequence[Request]) -> None:
        for request, answer in self._answers.prepared(requests):
            if isinstance(request, Trial):
                self._store.record_score(request, answer, NONE)
            elif isinstance(request, TeacherRequest) and self._store.score(TEACHER) is None:
                self._store.record_score(TEACHER, answer, TEACHER.distiller)
            self._listener.answered(_WHO.get(type(request), "student alone"), answer)

    def _known(self, trial: Trial) -> Score:
        score = self._store.score(trial)
        assert score is not None
        return score


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
