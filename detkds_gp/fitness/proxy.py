"""Proxy training: a distiller's score is the AP of a student trained shortly under it."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import BaseDetector, build_detector, inherit
from detkds_gp.errors import DetectorError
from detkds_gp.fitness.batches import Batches
from detkds_gp.fitness.candidate import FAULTS, Candidate, Evaluated, named
from detkds_gp.fitness.evaluation import Evaluation
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.kept_students import WaitingTrainings, read_weights
from detkds_gp.fitness.kept_teacher import keep_teacher
from detkds_gp.fitness.settings import ProxySettings
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.fitness.teacher import train_teacher
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.losses import DistillationLoss, KnowledgeError
from detkds_gp.score import Score, Trial
from detkds_gp.training import DistilledDetector, Training, TrainingFault, seed_all
from detkds_gp.training.loop import Batch

LOOKS = (0.25, 0.5, 0.75)
"""Of a training of the watched seed, where its student is looked at on the way."""


def looks(iterations: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Return the steps at some shares of a training, rising, its end left out."""
    return tuple(sorted({max(1, round(share * iterations)) for share in shares} - {iterations}))


class ProxyTraining:
    """Scores distillers; all see the same initial student, batches and augmentation for a seed.

    Args:
        task: what to train and on what.

    Attributes:
        images: of the splits, by name.
        batches: of a seed's plan.
        task_gradients: by seed, what scales are held against, see `calibration.task_gradients`.
    """

    def __init__(self, task: ProxyTask) -> None:
        self.task = task
        self.task_gradients: dict[int, list[list[float | None]]] = {}
        self.images = _within_limit(task.splits, task.settings)
        on_gpu = torch.device(task.settings.device).type == "cuda"
        self.batches = Batches(task, self.images["train"], lambda: self.teacher, prefetch=on_gpu)
        self._waiting = WaitingTrainings(task)
        self._evaluations: dict[str, Evaluation] = {}
        self._students: dict[int, BaseDetector] = {}
        self._teacher: BaseDetector | None = None

    def __call__(self, trial: Trial) -> Score:
        """Train a student under a distiller and score it; see `together`."""
        return self.together([trial])[0]

    def together(self, trials: Sequence[Trial]) -> list[Score]:
        """Train candidates step by step in turn, on one pass of data; each gets the score it would get alone.

        Args:
            trials: of the same seed, iterations and test flag; all scales are numbers.

        Returns:
            their scores in the order of the trials; a failure has a name, never an AP. The time is shared equally.

        Raises:
            FormulaError: if a distiller's text cannot be read, or a scale is not measured.
            StoreError: if the kept teacher outputs cannot be read.
            DataError: if an image cannot be read.
            ValueError: if the trials differ in more than the distiller.
        """
        first = trials[0]
        if any((t.seed, t.iterations, t.test) != (first.seed, first.iterations, first.test) for t in trials):
            raise ValueError(f"got {list(trials)}, wanted trials that differ in the distiller alone")
        lengths = looks(first.iterations, LOOKS) if self._is_watched(first) else ()
        return [score for score, _ in self._watched(trials, lengths)]

    def curve(self, trial: Trial, lengths: Sequence[int]) -> tuple[Score, list[tuple[int, float]]]:
        """Score a trial, and its student on the selection split at some rising lengths on the way.

        Returns:
            the score that the trial gets without looks on the way; (iterations, AP), the whole training last, as far
            as it succeeds.
        """
        ((score, points),) = self._watched([trial], lengths)
        return score, [*points, *([(trial.iterations, score.ap)] if score.ap is not None else [])]

    def _is_watched(self, trial: Trial) -> bool:
        return trial.test and trial.seed == self.task.watched

    def _watched(self, trials: Sequence[Trial], lengths: Sequence[int]) -> list[tuple[Score, list[tuple[int, float]]]]:
        """Score trials, with their students' AP on selection at some lengths on the way."""
        first, started = trials[0], time.perf_counter()
        candidates = [Candidate(self._training(trial)) for trial in trials]
        for length in lengths:
            self._advance(candidates, first.seed, length)
            for candidate in candidates:
                candidate.look(partial(self.evaluate, split="selection"))
        self._advance(candidates, first.seed, first.iterations)
        for candidate, trial in zip(candidates, trials, strict=True):
            evaluate = partial(self._evaluated, test=trial.test, kept=self._is_watched(trial))
            candidate.finish(partial(self._waiting.put_down, trial=trial), evaluate)
        seconds = (time.perf_counter() - started) / len(trials)
        return [(candidate.score(seconds), candidate.curve) for candidate in candidates]

    def trained(self, trial: Trial) -> DistilledDetector:
        """Return the model that a trial scores, trained to its end.

        Raises:
            DetectorError: if it fails to train.
            FormulaError: if the distiller's text cannot be read, or a scale is not measured.
            StoreError: if the kept teacher outputs cannot be read.
        """
        training = self._training(trial)
        batches = self.batches(trial.seed, training.model, begin=training.iteration)
        _advance(training, islice(batches, trial.iterations - training.iteration), f"under {trial.distiller}")
        return training.model

    def _training(self, trial: Trial) -> Training:
        model = self.model(parse_distiller(trial.distiller, self.task.primitive_set), trial.seed)
        length = self._waiting.schedule(trial)
        training = Training(model, self.task.settings, length, trial.seed, self.task.skipped)
        self._waiting.take_up(training, trial)
        return training

    def _advance(self, candidates: Sequence[Candidate], seed: int, iterations: int) -> None:
        trainings = [candidate.training for candidate in candidates]
        begin = min(training.iteration for training in trainings)
        batches = self.batches(seed, *(training.model for training in trainings), begin=begin)
        for iteration in range(begin, iterations):
            if all(candidate.failed for candidate in candidates):
                break
            batch, teacher = next(batches)
            for candidate in candidates:
                candidate.step(iteration, batch, teacher)

    def _evaluated(self, detector: BaseDetector, test: bool, kept: bool) -> Evaluated:
        ap = self.evaluate(detector, "selection")
        if not test:
            return ap, None, None
        test_ap, details = self._evaluation("test").details(detector, self._classes(detector))
        return ap, test_ap, details if kept else replace(details, found=())

    def prepare_teacher(self) -> Score:
        """Train the teacher if its checkpoint does not exist, score it, and keep its outputs on the training images.

        Returns:
            its AP on selection and test, or how its training failed.

        Raises:
            DetectorError: if its checkpoint is broken.
        """
        started = time.perf_counter()
        try:
            ap, test_ap, details = self._evaluated(self._teacher_kept(), test=True, kept=True)
        except FAULTS as error:
            return Score.failed(*named(error), time.perf_counter() - started)
        return Score(ap, test_ap, wall_seconds=time.perf_counter() - started, details=details)

    def _teacher_kept(self) -> BaseDetector:
        task = self.task
        if task.teacher.checkpoint is None or not Path(task.teacher.checkpoint).exists():
            train_teacher(task.teacher, self.images, task.teacher_training, task.settings.device)
        if task.teacher_outputs is not None:
            names, precision = task.pair.teacher_outputs(task.sources), task.settings.teacher_precision
            keep_teacher(self.teacher, self.images["train"], names, precision, task.teacher_outputs)
        return self.teacher

    @property
    def teacher(self) -> BaseDetector:
        """The trained teacher, in eval mode, its parameters frozen; built when it is first needed.

        Raises:
            DetectorError: if its checkpoint is missing or broken.
        """
        if self._teacher is None:
            try:
                self._teacher = build_detector(self.task.teacher, self.task.teacher_classes)
            except DetectorError as error:
                remedy = "where it was trained here, delete the file to train it again"
                raise DetectorError(f"{error}; {remedy}") from error
            self._teacher.to(self.task.settings.device).requires_grad_(False).eval()
        return self._teacher

    def alone(self, student: BaseDetector, seed: int, iterations: int, skipped: int) -> BaseDetector:
        """Train a copy of a student without distillation on the plan of a seed, and return it with its last weights.

        ``skipped`` steps of the plan are behind it.

        Raises:
            DetectorError: if it fails to train.
        """
        model = DistilledDetector(copy.deepcopy(student)).to(self.task.settings.device)
        last = self.task.settings.model_copy(update={"average": 0.0})
        training = Training(model, last, iterations, seed, skipped)
        _advance(training, islice(self.batches(seed, model, begin=skipped - self.task.skipped), iterations), "alone")
        return model.student

    def model(self, distiller: Distiller, seed: int) -> DistilledDetector:
        """Make the initial student of a seed, with the distiller's loss and adapters."""
        student = copy.deepcopy(self.student(seed))
        loss = DistillationLoss(distiller, self.task.primitive_set) if distiller.terms else None
        generator = torch.Generator().manual_seed(seed)
        runs_teacher = loss is not None and self.task.pair.runs_teacher(loss.sources.values())
        teacher = self.teacher if runs_teacher else None
        model = DistilledDetector(student, loss, self.task.pair, teacher, generator)
        return model.to(self.task.settings.device)

    def student(self, seed: int) -> BaseDetector:
        """Return the student that a seed's trainings start from; copy it.

        Raises:
            StoreError: if the half-trained student cannot be read.
        """
        if seed not in self._students:
            self._students[seed] = self.initial(seed)
            if (path := self.task.start(seed)) is not None:
                self._students[seed].load_state_dict(read_weights(path))
        return self._students[seed]

    def initial(self, seed: int) -> BaseDetector:
        """Build the untrained student of a seed."""
        seed_all(seed)
        student = build_detector(self.task.student, self.task.splits["train"].classes)
        if self.task.inherit:
            inherit(student, self.teacher, self.task.pair)
        return student

    def evaluate(self, detector: BaseDetector, split: str) -> float:
        """Return a detector's COCO AP on ``selection`` or ``test``, in [0, 1], of the settings' metric.

        Raises:
            FloatingPointError: if the detector predicts numbers that are not finite.
        """
        return self._evaluation(split)(detector, self._classes(detector))

    def _evaluation(self, split: str) -> Evaluation:
        if split not in self._evaluations:
            self._evaluations[split] = Evaluation(self.images[split], self.task.settings.metric)
        return self._evaluations[split]

    def _classes(self, detector: BaseDetector) -> tuple[str, ...] | None:
        return self.task.teacher_classes if detector is self._teacher else None


def _advance(training: Training, batches: Iterable[Batch], how: str) -> None:
    """Take a step on every batch, and give the model the weights that are scored."""
    try:
        for batch, teacher in batches:
            training.step(batch, teacher)
        training.finish()
    except (TrainingFault, KnowledgeError) as fault:
        raise DetectorError(f"the student {how} fails to train: {fault}; lower its optimizer.lr") from None


def _within_limit(splits: dict[str, CocoSplit], settings: ProxySettings) -> dict[str, SplitImages]:
    """Give the splits, in their order, what is left of the memory for decoded images."""
    room, (height, width) = settings.memory_limit_mb * 2**20, settings.image_size
    images = {}
    for name, split in splits.items():
        images[name] = SplitImages(split, settings.image_size, room)
        room = max(0, room - len(split.images) * height * width * 3)
    return images
