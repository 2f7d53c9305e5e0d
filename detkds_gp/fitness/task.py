"""What a worker needs to train proxies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import DetectorSpec, Pair
from detkds_gp.fitness.settings import ProxySettings, TeacherTraining
from detkds_gp.language import PrimitiveSet


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
        files: the folder of everything that is kept between trainings.
        student_numbers: how many parameters the student has.
        inherit: whether the student starts with the teacher's neck and head where shapes agree.
        watched: the seed of the final round whose students are looked at on the way and whose detections are kept.
    """

    student: DetectorSpec
    teacher: DetectorSpec
    teacher_training: TeacherTraining
    splits: dict[str, CocoSplit]
    settings: ProxySettings
    primitive_set: PrimitiveSet
    pair: Pair
    teacher_outputs: Path | None
    files: Path
    student_numbers: int
    inherit: bool = False
    watched: int | None = None

    @property
    def probe(self) -> Path:
        """The file of the shortly trained student on which scales are measured."""
        return self.files / "probe.pt"

    @property
    def rungs(self) -> Path:
        """The folder of trainings that wait on a rung."""
        return self.files / "rungs"

    def start(self, seed: int) -> Path | None:
        """Return the file of the half-trained student that a seed's trainings start from; None without one."""
        return self.files / f"start-{seed}.pt" if self.settings.start == "half_trained" else None

    @property
    def skipped(self) -> int:
        """The steps that students have behind them when a candidate's training starts."""
        return self.settings.start_iterations if self.settings.start == "half_trained" else 0

    @property
    def teacher_classes(self) -> tuple[str, ...]:
        """The names of the teacher's classes in the order of its labels."""
        return self.pair.classes[1] or self.splits["train"].classes

    @property
    def sources(self) -> list[str]:
        """The knowledge that the grammar reads."""
        return [d.source for d in self.primitive_set.inputs]
