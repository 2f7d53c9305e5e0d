"""An unmodified student with a teacher and a distillation loss: what the proxy and the full training train."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from detkds_gp.detectors import Taps, adapt, adapters, teacher_knowledge
from detkds_gp.detectors.pair import Pair
from detkds_gp.losses import DistillationLoss

TeacherKnowledge = dict[str, list[Tensor]]


class DistilledDetector(BaseModel):
    """A student detector whose loss has the distiller's terms added.

    The student runs forward once a step. The teacher runs in eval mode without gradient, and not at all where
    its knowledge comes with the batch. Adapters are trained with the student and are no part of it: save
    ``model.student``.

    Args:
        student: an mmdet detector; it stays as it is.
        loss: the compiled distiller; None trains the student alone.
        pair: what the two share, from `check_pair`; needed with a loss.
        teacher: needed where batches come without the teacher's knowledge.
        generator: draws the adapters' weights.
    """

    def __init__(
        self,
        student: nn.Module,
        loss: DistillationLoss | None = None,
        pair: Pair | None = None,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.distillation = loss
        self.teacher = teacher
        bridged = loss is not None and pair is not None and "global" in loss.inputs
        self.bridges = adapters(pair, generator or torch.Generator()) if bridged else nn.ModuleDict()
        if teacher is not None:
            teacher.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> DistilledDetector:
        """Switch the student; the teacher stays in eval mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "loss") -> Any:
        """Run as mmengine's models do: ``loss`` gives the loss terms, other modes are the student's own."""
        if mode != "loss":
            return self.student(inputs, data_samples, mode=mode)
        return self.losses({"inputs": inputs, "data_samples": data_samples})

    def losses(self, batch: dict[str, Any], teacher: TeacherKnowledge | None = None) -> dict[str, Any]:
        """Compute the student's own losses and the distiller's terms.

        Args:
            batch: ``inputs`` and ``data_samples`` before any data preprocessor.
            teacher: the teacher's knowledge of the batch, if it is kept.

        Returns:
            mmdet's loss dictionary with one ``loss_distill_<knowledge>`` (L,) for each term, scaled so that
            mmengine's mean over a loss tensor is the term.

        Raises:
            KnowledgeError: if the two sides do not fit.
        """
        data = self.student.data_preprocessor(batch, True)
        if self.distillation is None:
            return dict(self.student.loss(data["inputs"], data["data_samples"]))
        with Taps(self.student) as taps:
            losses = dict(self.student.loss(data["inputs"], data["data_samples"]))
        losses.update(self.distill(taps.knowledge(), teacher or self._teach(batch)))
        return losses

    def distill(self, student: dict[str, list[Tensor]], teacher: TeacherKnowledge) -> dict[str, Tensor]:
        """Return the distiller's terms by name, level by level; there must be a loss."""
        assert self.distillation is not None
        bridged = adapt(student, self.bridges)
        knowledge = {
            name: list(zip(bridged[name], teacher[name], strict=True))
            for name in self.distillation.inputs
            if name in bridged and name in teacher
        }
        terms = self.distillation(knowledge)
        return {f"loss_distill_{name}": levels for name, levels in terms.levels.items()}

    def _teach(self, batch: dict[str, Any]) -> TeacherKnowledge:
        if self.teacher is None:
            raise ValueError("the batch comes without the teacher's knowledge, and there is no teacher")
        return teacher_knowledge(self.teacher, self.teacher.data_preprocessor(batch, False)["inputs"])
