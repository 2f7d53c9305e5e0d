"""Takes knowledge out of an unmodified detector by forward hooks."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from detkds_gp.errors import DetectorError

from .knowledge import SOURCES, AbsentError, Knowledge, Source, dense_head
from .modes import evaluating


class Taps:
    """Listens to one forward of a detector.

    The knowledge keeps its graph, so a loss on it reaches the detector's weights::

        with Taps(student) as taps:
            losses = student.loss(inputs, data_samples)
        knowledge = taps.knowledge()

    Args:
        detector: the detector; nothing of it is changed but for the hooks, which ``detach`` takes
            away.

    Attributes:
        absent: for each knowledge the detector does not offer, why; complete after ``knowledge()``.
    """

    def __init__(self, detector: BaseDetector) -> None:
        self.detector = detector
        self.absent: dict[str, str] = {}
        self._tapped: list[tuple[Source, nn.Module]] = []
        self._outputs: dict[nn.Module, list[Any]] = {}
        self._handles: list[RemovableHandle] = []
        for source in SOURCES:
            try:
                self._tapped.append((source, source.module(detector)))
            except AbsentError as reason:
                self._miss(source, reason)

    def attach(self) -> Taps:
        """Start to listen, with nothing heard; the hooks stay until ``detach``."""
        if self._handles:
            raise DetectorError("these taps are attached already; detach them first")
        self.clear()
        self._handles = [module.register_forward_hook(self._hear) for _, module in self._tapped]
        return self

    def detach(self) -> None:
        """Take the hooks away; what was heard can still be read."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def clear(self) -> None:
        """Forget what was heard, such as a prediction in between."""
        self._outputs = {module: [] for _, module in self._tapped}

    def __enter__(self) -> Taps:
        return self.attach()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()

    def knowledge(self) -> Knowledge:
        """Return what the detector said in its one forward, and forget it.

        Returns:
            Tensors in float32 by knowledge name and level, as ``knowledge.SOURCES`` says; names in
            ``absent`` are left out.

        Raises:
            DetectorError: a tapped module ran not at all or more than once since the taps were
                attached or last read.
        """
        knowledge: Knowledge = {}
        for source, module in self._tapped:
            try:
                knowledge.update(source.read(module, self._heard_once(module)))
            except AbsentError as reason:
                self._miss(source, reason)
        self.clear()
        return knowledge

    def _hear(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._outputs[module].append(output)

    def _heard_once(self, module: nn.Module) -> Any:
        outputs = self._outputs.get(module, [])
        if len(outputs) != 1:
            raise DetectorError(
                f"{type(module).__name__} ran {len(outputs)} times under the taps, wanted once; "
                "call detector.loss(...) once, then knowledge() "
                "(mode='tensor' runs a head past its hooks)"
            )
        return outputs[0]

    def _miss(self, source: Source, reason: AbsentError) -> None:
        self.absent.update(dict.fromkeys(source.names, str(reason)))


def teacher_knowledge(teacher: BaseDetector, inputs: Tensor) -> Knowledge:
    """Return what the teacher knows of a batch: one forward in eval mode, without gradient.

    Args:
        teacher: its train flags are as before afterwards.
        inputs: (N, 3, H, W), normalised by the teacher's own ``data_preprocessor``.
    """
    taps = Taps(teacher)
    listen(taps, inputs)
    return taps.knowledge()


def listen(taps: Taps, inputs: Tensor) -> None:
    """Run the tapped modules once in eval mode; ``mode="tensor"`` would run past the hooks."""
    detector = taps.detector
    with evaluating(detector), taps:
        features = detector.extract_feat(inputs)
        try:
            dense_head(detector)(features)
        except AbsentError:
            return
