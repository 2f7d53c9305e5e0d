"""An unmodified student with a teacher and a distillation loss: what the proxy and the full training train."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from detkds_gp.detectors import BaseDetector, Outputs, Pair, Pairing, Scene, Taps, outputs_on, scene_of
from detkds_gp.errors import first_line
from detkds_gp.losses import MACHINE_FAULTS, DistillationLoss, KnowledgeError


class DistilledDetector(BaseModel):
    """A student detector whose loss has the distiller's terms added.

    The student runs forward once a step. The teacher runs in eval mode without gradient, and not at all where
    its outputs come with the batch, save for its RoI head on the student's regions and its head on the student's
    maps. Adapters and learned primitives are trained with the student and are no part of it: save ``model.student``.

    Args:
        student: an mmdet detector; it stays as it is.
        loss: the compiled distiller, whose weights are made here; None trains the student alone.
        pair: what the two share, from `check_pair`; needed with a loss.
        teacher: needed where batches come without the teacher's outputs, or where a part of it runs at every step;
            its parameters are frozen.
        generator: draws the adapters' weights; its seed fixes those of learned primitives.

    Attributes:
        pairing: pairs the outputs of both; holds the adapters. None without a loss.
    """

    def __init__(
        self,
        student: BaseDetector,
        loss: DistillationLoss | None = None,
        pair: Pair | None = None,
        teacher: BaseDetector | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.distillation = loss
        self.teacher = teacher
        self.pairing: Pairing | None = None
        if loss is not None:
            if pair is None:
                raise ValueError("got a loss without a pair, wanted what check_pair(...) returns")
            generator = generator or torch.Generator()
            shared = {name: source for name, source in loss.sources.items() if source in pair.shared}
            loss.build({name: pair.sizes(source) for name, source in shared.items()}, generator.initial_seed())
            self.pairing = Pairing(pair, list(loss.sources.values()), generator)
        if teacher is not None:
            teacher.requires_grad_(False).eval()

    @property
    def detector(self) -> BaseDetector:
        """The student: mmdet's hooks, such as YOLOX's, look here for the head of a detector that is wrapped."""
        return self.student

    def init_weights(self) -> None:
        """Initialise the student, as mmengine's Runner asks; the teacher keeps its weights."""
        self.student.init_weights()

    def train(self, mode: bool = True) -> DistilledDetector:
        """Switch the student; the teacher stays in eval mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "loss") -> Any:
        """Run as mmengine's models do, so that a Runner can train it.

        Args:
            inputs: images before the student's data preprocessor, a list of (3, H, W) uint8.
            data_samples: their ground truth.
            mode: ``loss`` gives the loss terms; ``predict`` and ``tensor`` are the student's own.
        """
        batch = {"inputs": inputs, "data_samples": data_samples}
        if mode == "loss":
            return self.losses(batch)
        data = self.student.data_preprocessor(batch, False)
        return self.student(data["inputs"], data["data_samples"], mode=mode)

    def losses(self, batch: dict[str, Any], teacher: Outputs | None = None) -> dict[str, Any]:
        """Compute the student's own losses and the distiller's terms.

        Args:
            batch: ``inputs`` and ``data_samples`` before any data preprocessor.
            teacher: the teacher's outputs on the batch, if they are kept.

        Returns:
            mmdet's loss dictionary with one ``loss_distill_<knowledge>`` (L,) for each term, scaled so that
            mmengine's mean over a loss tensor is the term.

        Raises:
            KnowledgeError: if the two sides do not fit, or the formula cannot be computed on them.
            ValueError: if the teacher's outputs neither come with the batch nor can be had.
        """
        data = self.student.data_preprocessor(batch, True)
        if self.pairing is None:
            return dict(self.student.loss(data["inputs"], data["data_samples"]))
        with Taps(self.student, self.pairing.student_outputs) as taps:
            losses = dict(self.student.loss(data["inputs"], data["data_samples"]))
        student = taps.outputs()
        if taps.absent:
            name, reason = next(iter(taps.absent.items()))
            raise KnowledgeError(f"the student has no output {name!r}: its {reason}")
        if teacher is None:
            if self.teacher is None:
                raise ValueError("got a batch without the teacher's outputs, wanted them or a teacher")
            teacher = outputs_on(self.teacher, batch, self.pairing.teacher_outputs)
        losses.update(self.distill(student, teacher, scene_of(data)))
        return losses

    def distill(self, student: Outputs, teacher: Outputs, scene: Scene) -> dict[str, Tensor]:
        """Compute the distiller's terms; the teacher never gets a gradient.

        Args:
            student: the student's outputs on a batch, ``pairing.student_outputs``.
            teacher: the teacher's outputs on it, ``pairing.teacher_outputs``.
            scene: the objects of the batch.

        Returns:
            by name ``loss_distill_<knowledge>``, the weighted loss of every level, (L,).

        Raises:
            KnowledgeError: if the two sides do not fit, or the formula cannot be computed on them.
            ValueError: if a part of the teacher runs at every step, and there is no teacher.
        """
        if self.pairing is None or self.distillation is None:
            return {}
        missing = [name for name in self.pairing.teacher_outputs if name not in teacher]
        if missing:
            raise KnowledgeError(f"the teacher's {missing[0]!r} is not kept; make its outputs anew")
        if self.pairing.runs_teacher and self.teacher is None:
            raise ValueError(f"got no teacher, but {self.distillation.distiller.text} runs it at every step")
        try:
            with torch.autocast(scene.boxes[0].device.type, enabled=False):
                pairs = self.pairing(student, teacher, scene, self.teacher)
            by_name = {name: pairs[source] for name, source in self.distillation.sources.items() if source in pairs}
            terms = self.distillation(by_name)
        except (RuntimeError, ValueError, TypeError, LookupError) as error:
            if any(word in str(error) for word in MACHINE_FAULTS):
                raise
            raise KnowledgeError(first_line(error)) from error
        return {f"loss_distill_{name}": levels for name, levels in terms.levels.items()}
