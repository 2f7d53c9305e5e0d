"""Pace: what a training step and an evaluation cost here and now, measured on a few of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from detkds_gp.detectors import BaseDetector, build_detector, make_batch, predict
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.fitness.teacher import begun
from detkds_gp.score import Pace
from detkds_gp.training import DistilledDetector, Training, TrainingFault, seed_all

REPEATS = 3
LIMIT_SECONDS = 4.0
"""Of one measurement, beyond which it is not repeated."""
IMAGES = 8
"""On which a detector's predictions are timed."""
DISTILLED = 1.2
"""What a step with a distiller takes, against one without; where the teacher runs at every step, that is added."""
COMPARED = 1.25
"""What scoring takes, against predicting alone: detections are compared with the objects."""
SCREENING_SECONDS = 0.3


def measure_pace(proxy: ProxyTraining) -> Pace:
    """Time a few steps of student and teacher and a few predictions of both; nothing is kept of them.

    A teacher that is still to be trained has random weights here, and the student is untrained: a trained detector
    finds more objects, which takes a little longer.

    Raises:
        DetectorError: if a detector cannot be built.
        DataError: if an image cannot be read.
    """
    task, settings = proxy.task, proxy.task.settings
    seed_all(0)
    student = build_detector(task.student, task.splits["train"].classes).to(settings.device)
    looked = _prediction(student, proxy.images["selection"])  # before a step, which may break the weights
    model = DistilledDetector(student)
    batches, training = proxy.batches(0, model), Training(model, settings, settings.iterations, seed=0)
    step = _seconds(lambda: training.step(*next(batches)))
    asked, still = _teacher(proxy)
    counts = {name: len(images) for name, images in proxy.images.items()}
    kept = task.teacher_outputs is None or task.teacher_outputs.exists()
    looks = min(task.teacher_training.checks, task.teacher_training.iterations) if still else 0
    return Pace(
        step=step,
        distilled=DISTILLED * step + (asked * settings.batch_size if task.teacher_outputs is None else 0.0),
        selection=COMPARED * looked * counts["selection"],
        test=COMPARED * looked * counts["test"],
        teacher=still
        + COMPARED * asked * ((1 + looks) * counts["selection"] + counts["test"])
        + (0.0 if kept else 2 * asked * counts["train"]),
        overhead=settings.calibration_batches * step + SCREENING_SECONDS,
    )


def _teacher(proxy: ProxyTraining) -> tuple[float, float]:
    """Return the seconds of the teacher's prediction on an image, and of the training that it still needs."""
    task, images = proxy.task, proxy.images["train"]
    path = task.teacher.checkpoint
    if path is not None and Path(path).exists():
        return _prediction(proxy.teacher, images), 0.0
    training, batches = begun(task.teacher, images, task.teacher_training, task.settings.device)
    looked = _prediction(training.model.student, images)  # before a step, which may break the weights
    return looked, training.iterations * _seconds(lambda: training.step(next(batches)))


def _prediction(detector: BaseDetector, images: SplitImages) -> float:
    """Return the seconds of a detector's prediction on one image."""
    items = [images[index] for index in range(min(IMAGES, len(images)))]
    return _seconds(lambda: predict(detector, make_batch(items))) / len(items)


def _seconds(act: Callable[[], object]) -> float:
    """Return the mean seconds of an act after its first time; of the first alone where that takes long."""
    taken: list[float] = []
    while len(taken) <= REPEATS and sum(taken) < LIMIT_SECONDS:
        started = time.perf_counter()
        with suppress(TrainingFault):  # a training that cannot succeed is told where it is asked for
            act()
        taken.append(time.perf_counter() - started)
    later = taken[1:] or taken
    return sum(later) / len(later)
