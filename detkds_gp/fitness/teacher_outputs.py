"""The teacher's outputs on a training batch: looked up where they are kept, else computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from detkds_gp.detectors import BaseDetector, Outputs, outputs_on
from detkds_gp.fitness.kept_teacher import KeptTeacher, rounded
from detkds_gp.fitness.task import ProxyTask


class TeacherOutputs:
    """Gives the teacher's outputs on batches, at one precision whether they are kept or not.

    Args:
        task: says where they are kept, if anywhere.
        teacher: gives the teacher, when it has to run.
    """

    def __init__(self, task: ProxyTask, teacher: Callable[[], BaseDetector]) -> None:
        self._path = task.teacher_outputs
        self._settings = task.settings
        self._teacher = teacher
        self._kept: KeptTeacher | None = None

    def __call__(
        self, indices: Sequence[int], flips: Sequence[bool], batch: dict[str, Any], names: Sequence[str]
    ) -> Outputs:
        """Return the teacher's outputs on a batch, on the settings' device, float32.

        Args:
            indices: of its images.
            flips: whether each is mirrored.
            batch: of `make_batch`, for a teacher that has to run.
            names: the outputs wanted.

        Raises:
            StoreError: if the kept outputs cannot be read, or a number is too large for the precision.
        """
        device = self._settings.device
        if self._path is not None:
            kept = self._open(device)(indices, flips, names)
            return {name: [level.to(device) for level in levels] for name, levels in kept.items()}
        teacher, precision = self._teacher(), self._settings.teacher_precision
        outputs = outputs_on(teacher, batch, names)
        return {name: [rounded(level, precision, name).float() for level in levels] for name, levels in outputs.items()}

    def _open(self, device: str) -> KeptTeacher:
        if self._kept is None:
            assert self._path is not None
            fits = self._path.exists() and self._path.stat().st_size <= self._settings.teacher_memory_mb * 2**20
            self._kept = KeptTeacher(self._path, device if fits else "cpu")
        return self._kept
