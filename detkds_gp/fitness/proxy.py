"""Proxy training: a distiller's score is the AP of a student trained shortly under it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from detkds_gp.data.coco import CocoSplit
from detkds_gp.detectors import BaseDetector, DetectorSpec, Pair, build_detector, finds_masks, inherit, make_batch
from detkds_gp.errors import DetectorError
from detkds_gp.fitness.evaluation import Evaluation
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.kept_teacher import KeptTeacher, keep_teacher
from detkds_gp.fitness.plan import plan
from detkds_gp.fitness.settings import ProxySettings
from detkds_gp.fitness.teacher import TeacherTraining, train_teacher
from detkds_gp.language import Distiller, PrimitiveSet, parse_distiller
from detkds_gp.losses import DistillationLoss, KnowledgeError
from detkds_gp.score import Score, Trial
from detkds_gp.training import DistilledDetector, TrainingFault, seed_all, train
from detkds_gp.training.distilled_detector import Said
from detkds_gp.training.loop import Batch


@dataclass(frozen=True)
class ProxyTask:
    """Everything a proxy training needs; picklable, so that worker processes can build theirs.

    Attributes:
        student: what is trained.
        teacher: what it learns from; the file of its checkpoint may still have to be trained.
        teacher_training: how, then.
        splits: train, selection and test.
        settings: budget and optimizer.
        primitive_set: the grammar of the distillers.
        pair: what student and teacher share; names the classes of both.
        teacher_outputs: file of the kept teacher outputs; None: the teacher runs at every step.
        inherit: whether the student starts with the teacher's neck and head where shapes agree.
        probe: file of the shortly trained student on which scales are measured.
    """

    student: DetectorSpec
    teacher: DetectorSpec
    teacher_training: TeacherTraining
    splits: dict[str, CocoSplit]
    settings: ProxySettings
    primitive_set: PrimitiveSet
    pair: Pair
    teacher_outputs: Path | None
    probe: Path
    inherit: bool = False

    @property
    def teacher_classes(self) -> tuple[str, ...]:
        """The names of the teacher's classes in the order of its labels."""
        return self.pair.classes[1] or self.splits["train"].classes

    @property
    def sources(self) -> list[str]:
        """The knowledge that the grammar reads."""
        return [d.source for d in self.primitive_set.declarations.values() if d.role == "input"]


class ProxyTraining:
    """Scores distillers; all see the same initial student, batches and augmentation for a seed.

    Args:
        task: what to train and on what.
    """

    def __init__(self, task: ProxyTask) -> None:
        self.task = task
        self.images = _within_limit(task.splits, task.settings)
        self._kept: KeptTeacher | None = None
        self._evaluations: dict[str, Evaluation] = {}
        self._students: dict[int, BaseDetector] = {}
        self._teacher: BaseDetector | None = None

    def __call__(self, trial: Trial) -> Score:
        """Train a student under a distiller and score it; a failure has a name, never an AP.

        Args:
            trial: its distiller's scales must all be numbers.

        Raises:
            FormulaError: if the distiller's text cannot be read, or a scale is not measured.
            StoreError: if the kept teacher outputs cannot be read.
            DataError: if an image cannot be read.
        """
        distiller = parse_distiller(trial.distiller, self.task.primitive_set)
        return self._scored(lambda: self.train(distiller, trial.iterations, trial.seed), trial.test)

    def prepare_teacher(self) -> Score:
        """Train the teacher if its checkpoint does not exist, score it, and keep what it says of the training images.

        Returns:
            its AP on selection and test, or how its training failed.

        Raises:
            DetectorError: if its checkpoint is broken.
        """
        return self._scored(self._teacher_kept, test=True)

    def _teacher_kept(self) -> BaseDetector:
        task = self.task
        if task.teacher.checkpoint is None or not Path(task.teacher.checkpoint).exists():
            train_teacher(task.teacher, self.images["train"], task.teacher_training, task.settings.device)
        if task.teacher_outputs is not None:
            names, precision = task.pair.kept(task.sources), task.settings.teacher_precision
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

    def _scored(self, train: Callable[[], BaseDetector], test: bool) -> Score:
        """Turn a training into a score; what can go wrong in it has a name."""
        started = time.perf_counter()
        try:
            detector = train()
            ap = self.evaluate(detector, "selection")
            test_ap = self.evaluate(detector, "test") if test else None
        except TrainingFault as fault:
            return Score.failed(fault.failure, fault.detail, time.perf_counter() - started)
        except KnowledgeError as error:
            return Score.failed("shape", str(error), time.perf_counter() - started)
        except FloatingPointError as error:
            return Score.failed("nonfinite", str(error), time.perf_counter() - started)
        return Score(ap, test_ap, wall_seconds=time.perf_counter() - started)

    def train(self, distiller: Distiller, iterations: int, seed: int) -> BaseDetector:
        """Train the initial student of a seed under a distiller.

        Returns:
            the student alone.

        Raises:
            TrainingFault: ``nonfinite`` or ``diverged``.
            KnowledgeError: if the distiller needs what the pair does not give.
        """
        model = self.model(distiller, seed)
        train(model, self.batches(seed, model), self.task.settings, iterations, seed)
        return model.student

    def model(self, distiller: Distiller, seed: int) -> DistilledDetector:
        """Make the initial student of a seed, with the distiller's loss and adapters."""
        student = copy.deepcopy(self._student(seed))
        loss = DistillationLoss(distiller, self.task.primitive_set) if distiller.terms else None
        generator = torch.Generator().manual_seed(seed)
        model = DistilledDetector(student, loss, self.task.pair, self._asked(loss), generator)
        return model.to(self.task.settings.device)

    def _student(self, seed: int) -> BaseDetector:
        if seed not in self._students:
            self._students[seed] = self._initial(seed)
        return self._students[seed]

    def _initial(self, seed: int) -> BaseDetector:
        seed_all(seed)
        student = build_detector(self.task.student, self.task.splits["train"].classes)
        if self.task.inherit:
            inherit(student, self.teacher, self.task.pair)
        return student

    def _asked(self, loss: DistillationLoss | None) -> BaseDetector | None:
        """Return the teacher if a loss asks it at every step."""
        if loss is None:
            return None
        live = self.task.pair.live(loss.sources.values()) or self.task.teacher_outputs is None
        return self.teacher if live else None

    def batches(self, seed: int, model: DistilledDetector) -> Iterator[Batch]:
        """Yield the batches of a seed's plan without end, with what the model needs of the kept teacher.

        Raises:
            StoreError: if the kept teacher outputs cannot be read.
            DataError: if the student learns masks, and an object has none that can be drawn.
        """
        images, masks = self.images["train"], finds_masks(model.student)
        names = model.pairing.kept if model.pairing is not None and self.task.teacher_outputs is not None else None
        for indices, flips in plan(len(images), self.task.settings.batch_size, seed):
            batch = make_batch([images[index] for index in indices], flips, masks=masks)
            yield batch, None if names is None else self._said(indices, flips, names)

    def _said(self, indices: Sequence[int], flips: Sequence[bool], names: Sequence[str]) -> Said:
        assert self.task.teacher_outputs is not None
        if self._kept is None:
            self._kept = KeptTeacher(self.task.teacher_outputs)
        device = self.task.settings.device
        kept = self._kept(indices, flips, names)
        return {name: [level.to(device) for level in levels] for name, levels in kept.items()}

    def evaluate(self, detector: BaseDetector, split: str) -> float:
        """Return a detector's COCO AP on ``selection`` or ``test``, in [0, 1], of the settings' metric.

        Raises:
            FloatingPointError: if the detector predicts numbers that are not finite.
        """
        if split not in self._evaluations:
            self._evaluations[split] = Evaluation(self.images[split], self.task.settings.metric)
        classes = self.task.teacher_classes if detector is self._teacher else None
        return self._evaluations[split](detector, classes)


def _within_limit(splits: dict[str, CocoSplit], settings: ProxySettings) -> dict[str, SplitImages]:
    """Give the splits, in their order, what is left of the memory for decoded images."""
    room, (height, width) = settings.memory_limit_mb * 2**20, settings.image_size
    images = {}
    for name, split in splits.items():
        images[name] = SplitImages(split, settings.image_size, room)
        room = max(0, room - len(split.images) * height * width * 3)
    return images
