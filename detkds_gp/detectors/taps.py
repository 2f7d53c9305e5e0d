"""Takes knowledge out of an unmodified detector by forward hooks."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from detkds_gp.errors import DetectorError

from .knowledge import SAID, Call, Knowledge, Reader, reader_of
from .modes import evaluating
from .parts import AbsentError, first_head


class Taps:
    """Listens to one forward of a detector.

    The knowledge keeps its graph, so a loss on it reaches the detector's weights::

        with Taps(student, ["global"]) as taps:
            losses = student.loss(inputs, data_samples)
        maps = taps.knowledge()["global"]

    Args:
        detector: the detector; nothing of it is changed but for the hooks, which ``detach`` takes
            away.
        names: what to listen for: names of `knowledge.READERS` or paths of modules; None: all that it says.

    Attributes:
        absent: for each name the detector does not offer, why; complete after ``knowledge()``.
    """

    def __init__(self, detector: BaseDetector, names: Sequence[str] | None = None) -> None:
        self.detector = detector
        self.absent: dict[str, str] = {}
        self._tapped: list[tuple[Reader, Sequence[nn.Module]]] = []
        self._calls: dict[nn.Module, list[Call]] = {}
        self._handles: list[RemovableHandle] = []
        readers = {reader.names: reader for reader in map(reader_of, SAID if names is None else names)}
        for reader in readers.values():
            try:
                self._tapped.append((reader, reader.modules(detector)))
            except AbsentError as reason:
                self._miss(reader, reason)

    def attach(self) -> Taps:
        """Start to listen, with nothing heard; the hooks stay until ``detach``."""
        if self._handles:
            raise DetectorError("these taps are attached already; detach them first")
        self.clear()
        self._handles = [module.register_forward_hook(self._hear) for module in self._calls]
        return self

    def detach(self) -> None:
        """Take the hooks away; what was heard can still be read."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def clear(self) -> None:
        """Forget what was heard, such as a prediction in between."""
        self._calls = {module: [] for _, modules in self._tapped for module in modules}

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
            Tensors in float32 by name and level, as ``knowledge.READERS`` says; names in ``absent`` are left out.

        Raises:
            DetectorError: a module that runs once a step ran not at all or more than once since the
                taps were attached or last read.
        """
        knowledge: Knowledge = {}
        with torch.autocast(self._device(), enabled=False):
            for reader, modules in self._tapped:
                calls = [self._heard(reader, module) for module in modules]
                try:
                    knowledge.update(reader.read(self.detector, calls))
                except AbsentError as reason:
                    self._miss(reader, reason)
        self.clear()
        return knowledge

    def _device(self) -> str:
        return next(self.detector.parameters()).device.type

    def _hear(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._calls[module].append(Call(inputs, output, module.training))

    def _heard(self, reader: Reader, module: nn.Module) -> list[Call]:
        calls = self._calls.get(module, [])
        if reader.once and len(calls) != 1:
            raise DetectorError(
                f"{type(module).__name__} ran {len(calls)} times under the taps, wanted once; "
                "call detector.loss(...) once, then knowledge() "
                "(mode='tensor' runs a head past its hooks)"
            )
        return calls

    def _miss(self, reader: Reader, reason: AbsentError) -> None:
        self.absent.update(dict.fromkeys(reader.names, str(reason)))


def teacher_knowledge(teacher: BaseDetector, inputs: Tensor, names: Sequence[str] | None = None) -> Knowledge:
    """Return what the teacher says of a batch: one forward in eval mode, without gradient.

    Args:
        teacher: its train flags are as before afterwards.
        inputs: (N, 3, H, W), normalised by the teacher's own ``data_preprocessor``.
        names: what is wanted; what its second stage says needs regions, see `roi.ask_regions`. None: all the rest.
    """
    taps = Taps(teacher, names)
    listen(taps, inputs)
    return taps.knowledge()


def listen(taps: Taps, inputs: Tensor) -> None:
    """Run neck and first head once in eval mode; ``mode="tensor"`` would run past the hooks."""
    detector = taps.detector
    with evaluating(detector), taps:
        features = detector.extract_feat(inputs)
        head = first_head(detector)
        if head is not None:
            head(features)
