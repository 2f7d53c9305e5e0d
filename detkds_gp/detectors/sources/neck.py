"""The neck's maps: as they are, under FGD's masks, around the objects; and the masks as fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from ..parts import AbsentError, first_head, pyramid
from ..scene import (
    INSTANCE_SIDE,
    background_masks,
    foreground_masks,
    instance_features,
    valuable_regions,
)
from ._base import Call, Reader, Side, Source, tensors_in
from ._matching import SharedMaps, share_maps
from ._shared import Level, Outputs, Pairs, Shape, Shared, Step


def _read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    """Read ``global``: the levels (N, C, H, W) of the neck."""
    levels = tensors_in(calls[0][0].output)
    if not levels or any(level.ndim != 4 for level in levels):
        raise AbsentError(f"{type(pyramid(detector)).__name__} gives no (N, C, H, W) maps")
    return {"global": [level.float() for level in levels]}


@dataclass(frozen=True)
class _OnMaps(Shared):
    """What is made of the neck's maps; it has their levels and adapters."""

    student_outputs: ClassVar[tuple[str, ...]] = ("global",)
    teacher_outputs: ClassVar[tuple[str, ...]] = ("global",)
    adapts: ClassVar[tuple[str, ...]] = ("global",)

    def maps(self, step: Step) -> list[tuple[Tensor, Tensor, Level]]:
        """Return (student, teacher, level) of the adapted maps."""
        pairs = step.shared["global"].pairs(step)
        return [(s, t, level) for (s, t), level in zip(pairs, self.levels, strict=True)]


@dataclass(frozen=True)
class SharedMasked(_OnMaps):
    """The maps times the root of FGD's mask, so that a squared distance is weighted by it."""

    foreground: bool = True

    def pairs(self, step: Step) -> Pairs:
        """Return the masked maps of every level."""
        made = []
        for s, t, level in self.maps(step):
            root = _mask(step, s, level, self.foreground).sqrt()
            made.append((s * root, t * root))
        return made


@dataclass(frozen=True)
class SharedInstances(_OnMaps):
    """The features (R, C, 7, 7) of every object, from the level that suits its size."""

    def pairs(self, step: Step) -> Pairs:
        """Return one level: all objects of the batch."""
        maps = self.maps(step)
        ours = instance_features([(s, level.stride) for s, _, level in maps], step.scene)
        theirs = instance_features([(t, level.stride) for _, t, level in maps], step.scene)
        return [(ours, theirs)]


@dataclass(frozen=True)
class SharedMaskField(_OnMaps):
    """FGD's mask of every level as a field."""

    teacher_outputs: ClassVar[tuple[str, ...]] = ()
    adapts: ClassVar[tuple[str, ...]] = ()
    foreground: bool = True

    def pairs(self, step: Step) -> Pairs:
        """Return (N, 1, H, W) of every level, on both sides."""
        maps = step.student["global"]
        fields = [_mask(step, maps[level.student], level, self.foreground) for level in self.levels]
        return [(x, x) for x in fields]


@dataclass(frozen=True)
class SharedValuableRegion(_OnMaps):
    """LD's main and valuable region of every level as a field."""

    teacher_outputs: ClassVar[tuple[str, ...]] = ()
    adapts: ClassVar[tuple[str, ...]] = ()

    def pairs(self, step: Step) -> Pairs:
        """Return (N, 1, H, W) of every level, on both sides."""
        maps = [step.student["global"][level.student] for level in self.levels]
        return [(x, x) for x in valuable_fields(step, maps, self.levels)]


def valuable_fields(step: Step, maps: Sequence[Tensor], levels: Sequence[Level]) -> list[Tensor]:
    """Return the valuable region on the grids of some maps."""
    grids = tuple((x.shape[2], x.shape[3]) for x in maps)
    strides = tuple(level.stride for level in levels)
    return step.once(("valuable", grids, strides), lambda: valuable_regions(step.scene, grids, strides))


def _mask(step: Step, like: Tensor, level: Level, foreground: bool) -> Tensor:
    grid = (like.shape[2], like.shape[3])
    inside = step.once(("inside", grid, level.stride), lambda: foreground_masks(step.scene, grid, level.stride))
    return inside if foreground else step.once(("outside", grid, level.stride), lambda: background_masks(inside))


share_neck = partial(share_maps, name="global")


def share_masked(student: Side, teacher: Side, *, foreground: bool) -> SharedMasked:
    """Share the neck's maps under FGD's mask."""
    maps = share_neck(student, teacher)
    return SharedMasked(maps.student, maps.teacher, maps.levels, maps.notes, foreground)


def share_instances(student: Side, teacher: Side) -> SharedInstances:
    """Share the objects' features; they need maps of as many channels on every level.

    Raises:
        AbsentError: the teacher's levels differ in channels.
    """
    maps = share_neck(student, teacher)
    if len({shape[0] for shape in maps.teacher}) > 1:
        raise AbsentError(f"the teacher's levels have {', '.join(str(s[0]) for s in maps.teacher)} channels")
    shape: Shape = (maps.teacher[0][0], INSTANCE_SIDE, INSTANCE_SIDE)
    return SharedInstances((shape,), (shape,), maps.levels, maps.notes)


def share_mask_field(student: Side, teacher: Side, *, foreground: bool) -> SharedMaskField:
    """Share FGD's mask on the levels of the necks."""
    maps = share_neck(student, teacher)
    fields = _field_shapes(maps)
    return SharedMaskField(fields, fields, maps.levels, (), foreground)


def share_valuable_region(student: Side, teacher: Side) -> SharedValuableRegion:
    """Share LD's region on the levels of the necks."""
    maps = share_neck(student, teacher)
    fields = _field_shapes(maps)
    return SharedValuableRegion(fields, fields, maps.levels)


def _field_shapes(maps: SharedMaps) -> tuple[Shape, ...]:
    return tuple((1, *shape[1:]) for shape in maps.teacher)


SOURCE = Source(
    "neck",
    (Reader(("global",), lambda detector: [pyramid(detector)], _read, head=first_head),),
    {
        "global": share_neck,
        "foreground": partial(share_masked, foreground=True),
        "background": partial(share_masked, foreground=False),
        "instance": share_instances,
        "foreground_mask": partial(share_mask_field, foreground=True),
        "background_mask": partial(share_mask_field, foreground=False),
        "valuable_region": share_valuable_region,
    },
)
