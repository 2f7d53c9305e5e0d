"""What a user may set of the proxy training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from detkds_gp.training import OptimizerSettings

Pixels = Annotated[int, Field(ge=32)]


class ProxySettings(OptimizerSettings):
    """The short training that scores a distiller.

    Attributes:
        iterations: training steps of a candidate.
        batch_size: images a step.
        image_size: (height, width) every image is resized and padded to, in pixels.
        metric: the AP that scores: of boxes (``bbox``) or of masks (``segm``); selection, verdict and test use the
            same.
        memory_limit_mb: for decoded images in each process, in MiB; beyond it they are read from disk.
        teacher_precision: of the kept teacher outputs.
        teacher_limit_mb: for the kept teacher outputs, in MiB on disk; beyond it the teacher runs at every step.
        calibration_iterations: steps of plain training after which scales are measured.
        calibration_batches: batches a scale is measured on.
        device: where everything runs.
    """

    iterations: int = Field(100, ge=1)
    batch_size: int = Field(8, ge=1)
    image_size: tuple[Pixels, Pixels] = (128, 128)
    metric: Literal["bbox", "segm"] = "bbox"
    memory_limit_mb: int = Field(1024, ge=0)
    teacher_precision: Literal["float32", "float16", "bfloat16"] = "float32"
    teacher_limit_mb: int = Field(8192, ge=0)
    calibration_iterations: int = Field(40, ge=0)
    calibration_batches: int = Field(2, ge=1)
    device: str = "cpu"
