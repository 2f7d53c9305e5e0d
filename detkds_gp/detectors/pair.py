"""Checks a student and a teacher against each other before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import nn

from detkds_gp.errors import DetectorError

from .knowledge import SOURCES, Knowledge, anchors_per_location, dense_head, num_classes
from .taps import Taps, listen

Shape = tuple[int, ...]

BRIDGED = ("global",)
"""Knowledge whose channels may differ, because an adapter brings the student's to the teacher's."""


@dataclass(frozen=True)
class SharedKnowledge:
    """One knowledge that both detectors of a pair offer, level by level.

    Attributes:
        student: for each level the shape on one image: (C, H, W) of maps, (M, K) of rows.
        teacher: the same of the teacher; it differs in C at most.
        grids: for each level its (H, W).
        strides: for each level the input pixels between two locations.
    """

    student: tuple[Shape, ...]
    teacher: tuple[Shape, ...]
    grids: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]

    @property
    def levels(self) -> int:
        """How many levels there are."""
        return len(self.student)


@dataclass(frozen=True)
class Pair:
    """What a student can learn from a teacher.

    Attributes:
        num_classes: of both; None if their heads do not say.
        shared: the knowledge both offer.
        refused: for every other knowledge, why not.
    """

    num_classes: int | None
    shared: Mapping[str, SharedKnowledge]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class _Side:
    """What one detector says of an empty image."""

    who: str
    knowledge: Knowledge
    absent: Mapping[str, str]
    anchors: tuple[int, ...]
    strides: tuple[int, ...]
    padded: tuple[int, int]


def check_pair(student: BaseDetector, teacher: BaseDetector, image_size: tuple[int, int]) -> Pair:
    """Run both detectors once on an empty image and say what they share.

    Neither is changed: train flags, batch-norm statistics and torch's generators are as before.

    Args:
        student: the detector that learns.
        teacher: the detector that knows.
        image_size: (height, width) of the padded images, in pixels.

    Raises:
        DetectorError: their class counts differ, they cannot take such an image, or they share
            nothing.
    """
    counts = num_classes(student), num_classes(teacher)
    if None not in counts and counts[0] != counts[1]:
        raise DetectorError(
            f"the student has {counts[0]} classes, the teacher {counts[1]}; build both for the same classes"
        )
    sides = _look(student, "student", image_size), _look(teacher, "teacher", image_size)
    shared: dict[str, SharedKnowledge] = {}
    refused: dict[str, str] = {}
    for name in [name for source in SOURCES for name in source.names]:
        reason = _mismatch(name, *sides)
        if reason is None:
            shared[name] = _share(name, *sides)
        else:
            refused[name] = reason
    if not shared:
        raise DetectorError(
            "student and teacher share no knowledge: "
            + "; ".join(f"{name}: {reason}" for name, reason in refused.items())
            + "; choose a teacher with the student's pyramid or head"
        )
    return Pair(counts[0], shared, refused)


def adapters(pair: Pair, generator: torch.Generator) -> nn.ModuleDict:
    """Make the learned 1x1 convolutions that bring the student's channels to the teacher's.

    Args:
        pair: from ``check_pair``.
        generator: draws the weights (variance 1 / C of the student); torch's own generator is left
            alone.

    Returns:
        By knowledge name a ModuleList with one module a level; knowledge whose channels agree has
        no entry.
    """
    made = nn.ModuleDict()
    for name in BRIDGED:
        knowledge = pair.shared.get(name)
        if knowledge is not None and knowledge.student != knowledge.teacher:
            channels = [(s[0], t[0]) for s, t in zip(knowledge.student, knowledge.teacher, strict=True)]
            made[name] = nn.ModuleList([_pointwise(*level, generator) for level in channels])
    return made


def adapt(knowledge: Knowledge, bridges: nn.ModuleDict) -> Knowledge:
    """Return the student's knowledge with its adapters applied; what has none passes through."""
    adapted = dict(knowledge)
    for name, levels in bridges.items():
        bridge = cast("nn.ModuleList", levels)
        adapted[name] = [layer(x) for layer, x in zip(bridge, knowledge[name], strict=True)]
    return adapted


def _pointwise(inward: int, outward: int, generator: torch.Generator) -> nn.Module:
    if inward == outward:
        return nn.Identity()
    layer = nn.utils.skip_init(nn.Conv2d, inward, outward, kernel_size=1)
    bound = (3 / inward) ** 0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


def _look(detector: BaseDetector, role: str, size: tuple[int, int]) -> _Side:
    device = next(detector.parameters()).device
    taps = Taps(detector)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        batch = {"inputs": [torch.zeros(3, *size, dtype=torch.uint8)]}
        inputs = detector.data_preprocessor(batch, False)["inputs"]
        try:
            listen(taps, inputs)
        except (RuntimeError, ValueError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise DetectorError(f"the {role} cannot take an image of {size[0]}x{size[1]} pixels: {first}") from error
    knowledge = taps.knowledge()
    anchors = tuple(anchors_per_location(dense_head(detector))) if "class_map" in knowledge else ()
    generator = getattr(getattr(detector, "bbox_head", None), "prior_generator", None)
    strides = tuple(int(stride[0]) for stride in getattr(generator, "strides", ()))
    return _Side(f"the {role}", knowledge, taps.absent, anchors, strides, tuple(inputs.shape[2:]))


def _mismatch(name: str, student: _Side, teacher: _Side) -> str | None:
    """Say in words why the two sides do not share a knowledge, or None if they do."""
    for side in (student, teacher):
        if name in side.absent:
            return f"{side.who}'s {side.absent[name]}"
    counts = len(student.knowledge[name]), len(teacher.knowledge[name])
    if counts[0] != counts[1]:
        return f"the student has {counts[0]} levels, the teacher {counts[1]}"
    maps = _grid_name(name)
    for level, (s, t) in enumerate(zip(student.knowledge[maps], teacher.knowledge[maps], strict=True)):
        if s.shape[2:] != t.shape[2:]:
            ours, theirs = _by(s.shape[2:]), _by(t.shape[2:])
            return f"level {level} is {ours} in the student, {theirs} in the teacher"
    if name in BRIDGED:
        return None
    if student.anchors != teacher.anchors:
        ours, theirs = _few(student.anchors), _few(teacher.anchors)
        return f"the student has {ours} anchors a location, the teacher {theirs}"
    widths = [side.knowledge["class_logits"][0].shape[1] for side in (student, teacher)]
    if widths[0] != widths[1]:
        return f"the student has {widths[0]} columns for the classes, the teacher {widths[1]}"
    return None


def _share(name: str, student: _Side, teacher: _Side) -> SharedKnowledge:
    grids = tuple((x.shape[2], x.shape[3]) for x in student.knowledge[_grid_name(name)])
    strides = student.strides
    if len(strides) != len(grids):
        strides = tuple(_stride(student.padded, grid) for grid in grids)
    return SharedKnowledge(
        student=_shapes(student, name),
        teacher=_shapes(teacher, name),
        grids=grids,
        strides=strides,
    )


def _stride(padded: tuple[int, int], grid: tuple[int, int]) -> int:
    """Return the least power of two that makes ``grid``, which is rounded up, of the image."""
    ratio = max(length / cells for length, cells in zip(padded, grid, strict=True))
    return 2 ** math.ceil(math.log2(ratio))


def _grid_name(name: str) -> str:
    """Return the knowledge that holds the maps of ``name``: rows have lost their grid."""
    return "class_map" if name == "class_logits" else name


def _shapes(side: _Side, name: str) -> tuple[Shape, ...]:
    levels = side.knowledge[name]
    return tuple(tuple(x.shape[1:]) if x.ndim == 4 else tuple(x.shape) for x in levels)


def _by(grid: torch.Size) -> str:
    return "x".join(str(length) for length in grid)


def _few(anchors: tuple[int, ...]) -> str:
    return str(anchors[0]) if len(set(anchors)) == 1 else "/".join(str(a) for a in anchors)
