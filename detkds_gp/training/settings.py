"""Settings of trainings: how weights move, and what a full training changes of the student's own config."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator

from detkds_gp.errors import first_line
from detkds_gp.settings import Pixels, Settings


class OptimizerSettings(Settings):
    """How the weights move.

    Attributes:
        optimizer: an mmengine optimizer config.
        clip_norm: largest gradient norm; 0 switches clipping off.
        warmup: iterations over which the learning rate rises linearly; it is constant afterwards.
        decay: share of the training, at its end, over which the learning rate falls to zero along a cosine. With
            0 a short training is the beginning of a longer one; with more, seeds differ less.
        average: decay of the moving average of all weights and buffers, which is what is scored and kept; the training
            goes on with the weights themselves. 0 scores those of the last step. See `AveragedStudent`.
        autocast: the detectors' precision; with ``bfloat16`` their forward pass runs under autocast, the
            distillation loss stays in float32.
    """

    optimizer: dict[str, Any] = Field(default_factory=lambda: {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05})
    clip_norm: float = Field(10.0, ge=0)
    warmup: int = Field(20, ge=0)
    decay: float = Field(0.0, ge=0, le=1)
    average: float = Field(0.97, ge=0, lt=1)
    autocast: Literal["float32", "bfloat16"] = "float32"

    @field_validator("optimizer")
    @classmethod
    def _builds(cls, optimizer: dict[str, Any]) -> dict[str, Any]:
        import torch
        from mmengine.optim import OPTIMIZERS  # it is empty until this module, not mmengine.registry, is imported
        from torch import nn

        try:
            OPTIMIZERS.build({**optimizer, "params": [nn.Parameter(torch.zeros(1))]})
        except Exception as error:
            wanted = "wanted what mmengine builds, such as dict(type='AdamW', lr=1e-3)"
            raise ValueError(f"optimizer is {optimizer}: {first_line(error)}; {wanted}") from None
        return optimizer

    def learning_rate_factor(self, iteration: int, iterations: int) -> float:
        """Return what the learning rate is multiplied by at a step, counted from 0, in (0, 1]."""
        factor = min(1.0, (iteration + 1) / max(self.warmup, 1))
        start = iterations * (1 - self.decay)
        if self.decay and iteration >= start:
            factor *= 0.5 * (1 + math.cos(math.pi * (iteration - start) / (iterations - start)))
        return factor


class FullTrainingSettings(Settings):
    """What the full training changes of the student's own mmdet config; nothing, by default.

    Attributes:
        iterations: training steps, with a warm-up and a learning rate that falls along a cosine; None: the student's
            own schedule.
        batch_size: images a step and process; None: the student's own.
        image_size: (height, width) that images are resized to, keeping their ratio; None: the student's own
            pipeline, or ``proxy.image_size`` where the tool trained the teacher on such images.
        workers: processes that load images; None: the student's own.
        average: decay of the moving average of all weights and buffers, which is what is scored and written; warmed up
            as in `AveragedStudent`. It comes on top of the student's config, unless that has an ``EMAHook`` of its
            own. 0 adds none.
        options: dotted keys of the mmdet config and their values, merged last.
    """

    iterations: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    image_size: tuple[Pixels, Pixels] | None = None
    workers: int | None = Field(None, ge=0)
    average: float = Field(0.999, ge=0, lt=1)
    options: dict[str, Any] = Field(default_factory=dict)
