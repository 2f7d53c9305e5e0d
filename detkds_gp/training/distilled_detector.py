"""An unmodified student with a teacher and a distillation loss: what the proxy and the full training train."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from detkds_gp.detectors import BaseDetector, Taps, adapt, adapters, teacher_knowledge
from detkds_gp.detectors.pair import Pair
from detkds_gp.losses import DistillationLoss, KnowledgeError

TeacherKnowledge = dict[str, list[Tensor]]
"""What the teacher says of a batch, by knowledge name and pyramid level, as `teacher_knowledge` gives it."""

MACHINE_FAULTS = ("memory", "ALLOC_FAILED", "CUDA error")
"""Words of errors that are no fault of the formula that met them."""


class DistilledDetector(BaseModel):
    """A student detector whose loss has the distiller's terms added.

    The student runs forward once a step. The teacher runs in eval mode without gradient, and not at all where
    its knowledge comes with the batch. Adapters are trained with the student and are no part of it: save
    ``model.student``.

    Args:
        student: an mmdet detector; it stays as it is.
        loss: the compiled distiller; None trains the student alone.
        pair: what the two share, from `check_pair`; needed where their channels differ.
        teacher: needed where batches come without the teacher's knowledge; its parameters are frozen.
        generator: draws the adapters' weights.

    Attributes:
        bridges: the adapters, by knowledge name; empty where none is needed.
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
        made = adapters(pair, generator or torch.Generator()) if loss and pair else nn.ModuleDict()
        wanted = set(loss.sources.values()) if loss else set()
        self.bridges = nn.ModuleDict({name: made[name] for name in made if name in wanted})
        if teacher is not None:
            teacher.requires_grad_(False).eval()

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

    def losses(self, batch: dict[str, Any], teacher: TeacherKnowledge | None = None) -> dict[str, Any]:
        """Compute the student's own losses and the distiller's terms.

        Args:
            batch: ``inputs`` and ``data_samples`` before any data preprocessor.
            teacher: the teacher's knowledge of the batch, if it is kept.

        Returns:
            mmdet's loss dictionary with one ``loss_distill_<knowledge>`` (L,) for each term, scaled so that
            mmengine's mean over a loss tensor is the term.

        Raises:
            KnowledgeError: if the two sides do not fit, or the formula cannot be computed on them.
            ValueError: if the teacher's knowledge neither comes with the batch nor can be had.
        """
        data = self.student.data_preprocessor(batch, True)
        if self.distillation is None:
            return dict(self.student.loss(data["inputs"], data["data_samples"]))
        with Taps(self.student) as taps:
            losses = dict(self.student.loss(data["inputs"], data["data_samples"]))
        said = self._teach(batch) if teacher is None else teacher
        losses.update(self.distill(taps.knowledge(), said))
        return losses

    def distill(self, student: dict[str, list[Tensor]], teacher: TeacherKnowledge) -> dict[str, Tensor]:
        """Compute the distiller's terms; the teacher never gets a gradient.

        Args:
            student: the student's knowledge of a batch, before the adapters.
            teacher: the teacher's of the same batch.

        Returns:
            by name ``loss_distill_<knowledge>``, the weighted loss of every level, (L,).

        Raises:
            KnowledgeError: if the two sides do not fit, or the formula cannot be computed on them.
        """
        if self.distillation is None:
            return {}
        bridged = adapt(student, self.bridges)
        knowledge = {
            name: _paired(name, bridged[source], teacher[source])
            for name, source in self.distillation.sources.items()
            if source in bridged and source in teacher
        }
        try:
            terms = self.distillation(knowledge)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            if any(word in str(error) for word in MACHINE_FAULTS):
                raise
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise KnowledgeError(first) from error
        return {f"loss_distill_{name}": levels for name, levels in terms.levels.items()}

    def _teach(self, batch: dict[str, Any]) -> TeacherKnowledge:
        if self.teacher is None:
            raise ValueError("got a batch without the teacher's knowledge, wanted it or a teacher")
        return teacher_knowledge(self.teacher, self.teacher.data_preprocessor(batch, False)["inputs"])


def _paired(name: str, student: list[Tensor], teacher: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    if len(student) != len(teacher):
        got = f"{name!r}: student {len(student)} levels, teacher {len(teacher)}"
        raise KnowledgeError(f"{got}, wanted as many")
    return list(zip(student, teacher, strict=True))
