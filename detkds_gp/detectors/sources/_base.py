"""A source of knowledge: what is read from a detector's hooks, how two sides are matched, how its tensors are cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from ..parts import AbsentError
from ._shared import Outputs, Shared


@dataclass(frozen=True)
class Call:
    """One forward of a module: its positional arguments, what it returned, and whether it was in train mode."""

    arguments: tuple[Any, ...]
    output: Any
    training: bool


@dataclass(frozen=True)
class Ran:
    """What ran of a detector on a batch by itself, in eval mode: the neck's levels, and what heads on these returned.

    The samples say how large each image is without its padding.
    """

    maps: Sequence[Tensor]
    samples: Sequence[DetDataSample]
    heads: dict[nn.Module, Any] = field(default_factory=dict)


Rest = Callable[[BaseDetector, Ran], None]
"""Runs more of a detector than its neck and the heads that take the neck's maps alone."""

Cut = Callable[[Outputs, Sequence[int], int], Outputs]
"""From the outputs of a reader on so many images to those on some of them, by index, as if these were the batch."""


def equal_parts(outputs: Outputs, images: Sequence[int], count: int) -> Outputs:
    """Cut tensors (count M, ...) whose rows are sorted by image; one that does not divide belongs to every image."""

    def part(x: Tensor) -> Tensor:
        parts = x.tensor_split(count) if len(x) % count == 0 else [x] * count
        return torch.cat([parts[image] for image in images])

    return {name: list(map(part, levels)) for name, levels in outputs.items()}


def by_region(regions: str) -> Cut:
    """Return what cuts tensors with a row for each of an output's regions (R, 5), which name their images first."""

    def cut(outputs: Outputs, images: Sequence[int], count: int) -> Outputs:
        owners = [rois[:, 0] for rois in outputs[regions]]
        made: Outputs = {}
        for name, levels in outputs.items():
            parts = [[x[owner == image] for image in images] for x, owner in zip(levels, owners, strict=True)]
            for level in parts if name == regions else ():
                for image, rois in enumerate(level):
                    rois[:, 0] = image
            made[name] = [torch.cat(level) for level in parts]
        return made

    return cut


@dataclass(frozen=True)
class Reader:
    """A place in a detector whose outputs are read.

    Attributes:
        outputs: the names of what is read there, unlike those of all other readers.
        modules: finds the modules whose forwards are recorded; raises AbsentError if there are none.
        read: makes the tensors of these names, float32, from the calls of each module; raises AbsentError if
            they do not hold them.
        once: whether each module has to run exactly once a step.
        head: finds the head that runs on the neck's maps and whose priors name the strides and anchors of these
            outputs; raises AbsentError or returns None if there is none. It is run wherever the neck is run alone.
        rest: finds what runs the modules that neck and head do not run, wherever these are run alone; equal ones
            run once.
        cut: takes some images' part of the outputs, for probes.
        fixed: those of the names that carry no gradient, such as regions.
        example: from (detector, neck's maps, image size) to the outputs on one region, the whole image; for a
            second stage, which a detector runs on regions only.
        check: from (detector, neck's maps, image size), holds the outputs against the detector's own prediction, once
            before any training; raises AbsentError where they disagree.
    """

    outputs: tuple[str, ...]
    modules: Callable[[BaseDetector], Sequence[nn.Module]]
    read: Callable[[BaseDetector, Sequence[Sequence[Call]]], Outputs]
    once: bool = True
    head: Callable[[BaseDetector], Any] | None = None
    rest: Callable[[BaseDetector], Rest | None] | None = None
    cut: Cut = equal_parts
    fixed: tuple[str, ...] = ()
    example: Callable[[BaseDetector, Sequence[Tensor], tuple[int, int]], Outputs] | None = None
    check: Callable[[BaseDetector, Sequence[Tensor], tuple[int, int]], None] | None = None

    def head_of(self, detector: BaseDetector) -> Any | None:
        """Return the head of a detector that these outputs follow, or None."""
        try:
            return self.head(detector) if self.head is not None else None
        except AbsentError:
            return None


@dataclass(frozen=True, eq=False)
class Side:
    """One detector of a pair.

    Attributes:
        who: ``the student`` or ``the teacher``.
        outputs: of an empty image, and of one region: the whole of it.
        absent: the outputs that it does not have, and why.
        strides: by output, the input pixels between two locations of each level.
        anchors: by output of a head, for each level the anchors of a location, (A, 4), or (A, 2) for points.
        classes: the names of its classes; None if not given.
        num_classes: how many it tells apart; None if its heads do not say.
        prior_strides: by output of a head, for each level the exact input pixels between two priors.
        tapped: the outputs whose modules it has, whether or not these give them.
    """

    who: str
    outputs: Outputs
    absent: Mapping[str, str]
    strides: Mapping[str, tuple[int, ...]]
    anchors: Mapping[str, tuple[Tensor, ...]]
    classes: tuple[str, ...] | None
    num_classes: int | None
    prior_strides: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tapped: frozenset[str] = frozenset()

    def output(self, name: str) -> list[Tensor]:
        """Return the levels of an output; raises AbsentError with the reason if the detector does not have it."""
        if name not in self.outputs:
            raise AbsentError(f"{self.who}'s {self.absent.get(name, f'detector has no output {name}')}")
        return self.outputs[name]


Share = Callable[[Side, Side], Shared]
"""Says whether and how student and teacher share a knowledge; raises AbsentError with the reason if they do not."""


@dataclass(frozen=True)
class Source:
    """A source of knowledge.

    Attributes:
        name: unlike those of all other sources.
        readers: what is read from a detector's hooks.
        knowledge: by name, how two sides are matched. Where several sources offer one knowledge, the first that
            both detectors have decides.
        called: what a detector with this source has, in messages; defaults to the name.
        module: ``__name__`` of the module that registers it, which worker processes import; needed outside of
            detkds_gp.
    """

    name: str
    readers: tuple[Reader, ...] = ()
    knowledge: Mapping[str, Share] = field(default_factory=dict)
    called: str = ""
    module: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all that is read."""
        return tuple(name for reader in self.readers for name in reader.outputs)

    def is_in(self, side: Side) -> bool:
        """Whether a detector has this source: its first output."""
        return any(map(side.outputs.get, self.outputs[:1]))


def tensors_in(output: Any) -> list[Tensor]:
    """Return the floating-point tensors of what a module returned, in their order."""
    if isinstance(output, Tensor):
        return [output] if torch.is_floating_point(output) else []
    return [tensor for part in output for tensor in tensors_in(part)] if isinstance(output, (tuple, list)) else []
