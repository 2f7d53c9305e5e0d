"""Where student and teacher of a config end, before a search spends hours: the learning curves of `check --curves`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from detkds_gp.config import ExperimentConfig
from detkds_gp.curves import End, end_of, prospects
from detkds_gp.errors import DetectorError
from detkds_gp.fitness import ProxyTraining, teacher_curve
from detkds_gp.language import NONE
from detkds_gp.listener import Listener
from detkds_gp.score import Score, Trial
from detkds_gp.setup.prepare import gather, prepare

LENGTHENED = 6
"""A curve is so many times as long as the proxy, where no length is given."""
LOOKS = 8


@dataclass(frozen=True)
class Curves:
    """The learning curves of a pair, on the selection split.

    Attributes:
        student: (iterations, AP) of the student alone.
        teacher: the same of a teacher that the tool trains; empty for another one.
        teacher_ap: that the teacher reaches.
        student_end: where the student's curve ends.
        teacher_end: where the teacher's curve ends; None where it is not known.
        said: what follows, in sentences.
    """

    student: tuple[tuple[int, float], ...]
    teacher: tuple[tuple[int, float], ...]
    teacher_ap: float
    student_end: End | None
    teacher_end: End | None
    said: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def learning_curves(config: ExperimentConfig, iterations: int | None, listener: Listener) -> Curves:
    """Train the student alone at a constant rate, and the teacher where it has no checkpoint; look at both on the way.

    The teacher is kept in ``cache_dir``, as a search keeps it; of the student nothing is kept.

    Args:
        config: of the pair.
        iterations: of the student; None takes `LENGTHENED` times the proxy's.
        listener: hears what is trained.

    Raises:
        UserError: a mistake in config, data or detectors, or a training that fails.
    """
    torch.set_num_threads(config.threads)
    # Half-trained students are the student of the config, trained on.
    start = "config" if config.proxy.start == "half_trained" else config.proxy.start
    settings = config.proxy.model_copy(update={"decay": 0.0, "rungs": (), "start": start})
    steady = config.model_copy(update={"proxy": settings})
    steps = iterations or LENGTHENED * settings.iterations
    with TemporaryDirectory() as folder:
        task = replace(prepare(steady, gather(steady), Path(folder), listener), teacher_outputs=None)
        proxy = ProxyTraining(task)
        listener.say(f"the teacher: at most {task.teacher_training.iterations} iterations, if it is not trained yet")
        teacher_ap = _sound(proxy.prepare_teacher(), "teacher")
        listener.say(f"the student alone: {steps} iterations")
        lengths = sorted({max(1, steps * look // LOOKS) for look in range(1, LOOKS)} - {steps})
        score, student = proxy.curve(Trial(NONE, steps, config.baseline_seeds[0]), lengths)
        _sound(score, "student alone")
    teacher = teacher_curve(task.teacher.checkpoint)
    said = prospects(student, teacher, teacher_ap)
    return Curves(tuple(student), tuple(teacher), teacher_ap, end_of(student), end_of(teacher), tuple(said))


def _sound(score: Score, who: str) -> float:
    if score.ap is None:
        raise DetectorError(f"the {who} fails to train: {score.failure} ({score.detail}); lower its optimizer.lr")
    return score.ap
