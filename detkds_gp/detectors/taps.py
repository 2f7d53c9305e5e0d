"""Takes outputs from an unmodified detector by forward hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from detkds_gp.errors import DetectorError

from .modes import evaluating
from .parts import AbsentError, first_head
from .sources import Call, Outputs, Ran, Reader, output_names, readers_of


class Taps:
    """Records one forward of a detector.

    The outputs keep their graph, so a loss on them reaches the detector's weights::

        with Taps(student, ["global"]) as taps:
            losses = student.loss(inputs, data_samples)
        maps = taps.outputs()["global"]

    Args:
        detector: the detector; nothing of it is changed but for the hooks, which ``detach`` takes away.
        names: of the outputs wanted, or paths of modules; None: all that it has.

    Attributes:
        absent: for each output that the detector does not have, why; complete after ``outputs()``.
    """

    def __init__(self, detector: BaseDetector, names: Sequence[str] | None = None) -> None:
        self.detector = detector
        self.absent: dict[str, str] = {}
        self._tapped: list[tuple[Reader, Sequence[nn.Module]]] = []
        self._calls: dict[nn.Module, list[Call]] = {}
        self._handles: list[RemovableHandle] = []
        for reader in readers_of(output_names() if names is None else names):
            try:
                self._tapped.append((reader, reader.modules(detector)))
            except AbsentError as reason:
                self._miss(reader, reason)

    @property
    def tapped(self) -> frozenset[str]:
        """The outputs whose modules the detector has, whether or not these give them."""
        return frozenset(name for reader, _ in self._tapped for name in reader.outputs)

    def attach(self) -> Taps:
        """Start to record, with nothing recorded; the hooks stay until ``detach``."""
        if self._handles:
            raise DetectorError("these taps are attached already; detach them first")
        self.clear()
        self._handles = [module.register_forward_hook(self._record) for module in self._calls]
        return self

    def detach(self) -> None:
        """Take the hooks away; what was recorded can still be read."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def clear(self) -> None:
        """Forget what was recorded, such as a prediction in between."""
        self._calls = {module: [] for _, modules in self._tapped for module in modules}

    def __enter__(self) -> Taps:
        return self.attach()

    def __exit__(self, *error: object) -> None:
        self.detach()

    def outputs(self) -> Outputs:
        """Return the outputs of the detector's one forward, and forget it.

        Returns:
            Tensors in float32 by name and level, as the files of `sources` describe them; names in ``absent`` are
            left out.

        Raises:
            DetectorError: a module that runs once a step ran not at all or more than once since the taps were attached
                or last read.
        """
        outputs: Outputs = {}
        with torch.autocast(next(self.detector.parameters()).device.type, enabled=False):
            for reader, modules in self._tapped:
                calls = [self._recorded(reader, module) for module in modules]
                try:
                    outputs.update(reader.read(self.detector, calls))
                except AbsentError as reason:
                    self._miss(reader, reason)
        self.clear()
        return outputs

    def run(self, inputs: Tensor, samples: Sequence[DetDataSample] | None = None) -> None:
        """Run the neck and the heads on its maps once in eval mode; ``mode="tensor"`` would run past the hooks.

        Args:
            inputs: (N, 3, H, W), normalised by the detector's own ``data_preprocessor``.
            samples: say how large the images are without their padding; None: no image is padded.
        """
        with evaluating(self.detector), self:
            maps = self.detector.extract_feat(inputs)
            ran = Ran(maps, unpadded(inputs) if samples is None else samples)
            heads = [first_head(self.detector), *(reader.head_of(self.detector) for reader, _ in self._tapped)]
            for head in dict.fromkeys(head for head in heads if head is not None):
                ran.heads[head] = head(maps)
            for rest in dict.fromkeys(reader.rest(self.detector) for reader, _ in self._tapped if reader.rest):
                if rest is not None:
                    rest(self.detector, ran)

    def _record(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._calls[module].append(Call(inputs, output, module.training))

    def _recorded(self, reader: Reader, module: nn.Module) -> list[Call]:
        calls = self._calls.get(module, [])
        if reader.once and len(calls) != 1:
            raise DetectorError(
                f"{type(module).__name__} ran {len(calls)} times under the taps, wanted once; call detector.loss(...) "
                "once, then outputs() (mode='tensor' runs a head past its hooks)"
            )
        return calls

    def _miss(self, reader: Reader, reason: AbsentError) -> None:
        self.absent.update(dict.fromkeys(reader.outputs, str(reason)))


def unpadded(inputs: Tensor) -> list[DetDataSample]:
    """Return what says of every image (N, 3, H, W) that it has no padding."""
    size = (int(inputs.shape[2]), int(inputs.shape[3]))
    shapes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), size)
    return [DetDataSample(metainfo={**shapes, "scale_factor": (1.0, 1.0)}) for _ in inputs]


def outputs_of(
    detector: BaseDetector,
    inputs: Tensor,
    names: Sequence[str] | None = None,
    samples: Sequence[DetDataSample] | None = None,
) -> Outputs:
    """Return a detector's outputs on a batch: one forward in eval mode, without gradient.

    Args:
        detector: its train flags are as before afterwards.
        inputs: (N, 3, H, W), normalised by the detector's own ``data_preprocessor``.
        names: the outputs wanted; those of a second stage are empty, for no regions are given. None: all.
        samples: say how large the images are without their padding; None: no image is padded.
    """
    taps = Taps(detector, names)
    taps.run(inputs, samples)
    return taps.outputs()


def outputs_on(detector: BaseDetector, batch: dict[str, Any], names: Sequence[str] | None = None) -> Outputs:
    """Return a detector's outputs on a batch of `make_batch`, as `outputs_of` does; the batch is not changed."""
    data = detector.data_preprocessor(batch, False)
    return outputs_of(detector, data["inputs"], names, data["data_samples"])
