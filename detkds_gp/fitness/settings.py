"""What a user may set of the proxy training and of the teacher's training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from detkds_gp.settings import Pixels
from detkds_gp.training import OptimizerSettings


class ProxySettings(OptimizerSettings):
    """The short training that scores a distiller.

    Attributes:
        iterations: training steps of a candidate.
        rungs: fewer steps, rising, after which a generation's candidates are compared: the better ones of every
            knowledge train on, see `detkds_gp.evaluation.halving`. A rung is the beginning of the whole training.
        keep: the share of them that trains on.
        start: what students start from: what the student's config gives (``config``: its pretrained backbone or
            checkpoint, random where it names none), ``random`` weights, or the ``half_trained`` student: the one
            of ``config``, trained alone for ``start_iterations`` steps.
        start_iterations: of the half-trained student.
        batch_size: images a step.
        image_size: (height, width) every image is resized and padded to, in pixels.
        metric: the AP that scores: of boxes (``bbox``) or of masks (``segm``); selection, verdict and test use the
            same.
        memory_limit_mb: for decoded images in each process, in MiB; beyond it they are read from disk.
        teacher_precision: the teacher's outputs are rounded to it, kept or not.
        teacher_memory_mb: for the kept teacher outputs in the memory of a GPU, in MiB; beyond it, and on a CPU, they
            are mapped from the disk: processes share the pages that are in memory.
        teacher_limit_mb: for the kept teacher outputs, in MiB on disk; beyond it the teacher runs at every step.
        calibration_iterations: steps of plain training after which scales are measured.
        calibration_batches: batches over which the gradient of the student's own loss is measured; that of a tree takes
            the first two of them.
        device: where everything runs.
    """

    iterations: int = Field(100, ge=1)
    rungs: tuple[Annotated[int, Field(ge=1)], ...] = ()
    keep: float = Field(0.5, gt=0, lt=1)
    start: Literal["config", "random", "half_trained"] = "config"
    start_iterations: int = Field(100, ge=1)
    batch_size: int = Field(8, ge=1)
    image_size: tuple[Pixels, Pixels] = (128, 128)
    metric: Literal["bbox", "segm"] = "bbox"
    memory_limit_mb: int = Field(1024, ge=0)
    teacher_precision: Literal["float32", "float16", "bfloat16"] = "float32"
    teacher_memory_mb: int = Field(512, ge=0)
    teacher_limit_mb: int = Field(8192, ge=0)
    calibration_iterations: int = Field(40, ge=0)
    calibration_batches: int = Field(8, ge=1)
    device: str = "cpu"

    @model_validator(mode="after")
    def _rising(self) -> ProxySettings:
        steps = [*self.rungs, self.iterations]
        if steps != sorted(set(steps)):
            raise ValueError(
                f"proxy.rungs are {list(self.rungs)}, wanted rising numbers below proxy.iterations {self.iterations}"
            )
        return self


class TeacherTraining(OptimizerSettings):
    """How a teacher without a checkpoint is trained: until it stops gaining.

    With ``decay`` the learning rate is constant until then, and falls over that share of the whole training at its end.

    Attributes:
        iterations: the most training steps.
        checks: how often, up to these, its AP on the selection split is looked at; it stops gaining where two looks in
            a row bring less than .003. 0: never, all iterations are trained.
        batch_size: images a step.
        seed: fixes its initial weights and batches.
    """

    iterations: int = Field(1200, ge=1)
    checks: int = Field(8, ge=0)
    batch_size: int = Field(8, ge=1)
    seed: int = 0
    decay: float = Field(0.4, ge=0, le=1)
