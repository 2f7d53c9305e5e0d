"""The neck's maps: as they are, under FGD's masks, around the objects; and the masks as fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from ..parts import AbsentError, first_head, pyramid
from ..scene import INSTANCE_SIDE, background_masks, foreground_masks, instance_features, valuable_regions
from ._base import Call, Reader, Side, Source, tensors_in
from ._matching import share_maps
from ._shared import Level, Outputs, Pairs, Shape, Shared, Step

Field = Literal["foreground", "background", "valuable"]


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


@dataclass(frozen=True)
class SharedMasked(_OnMaps):
    """The maps times the root of FGD's mask, so that a squared distance is weighted by it."""

    field: Field = "foreground"

    def pairs(self, step: Step) -> Pairs:
        """Return the masked maps of every level."""
        pairs = step.shared["global"].pairs(step)
        roots = [x.sqrt() for x in fields_on(step, self.field, [s for s, _ in pairs], self.levels)]
        return [(s * root, t * root) for (s, t), root in zip(pairs, roots, strict=True)]


@dataclass(frozen=True)
class SharedInstances(_OnMaps):
    """The features (R, C, 7, 7) of every object, from the level that suits its size."""

    def pairs(self, step: Step) -> Pairs:
        """Return one level: all objects of the batch."""
        strides = [level.stride for level in self.levels]
        sides = zip(*step.shared["global"].pairs(step), strict=True)
        ours, theirs = (instance_features(list(zip(maps, strides, strict=True)), step.scene) for maps in sides)
        return [(ours, theirs)]


@dataclass(frozen=True)
class SharedField(Shared):
    """What weighs every level's positions (N, 1, H, W), on both sides: one of FGD's masks, or LD's valuable region."""

    student_outputs: ClassVar[tuple[str, ...]] = ("global",)
    field: Field = "foreground"

    def pairs(self, step: Step) -> Pairs:
        """Return the field of every level."""
        maps = [step.student["global"][level.student] for level in self.levels]
        return [(x, x) for x in fields_on(step, self.field, maps, self.levels)]


def fields_on(step: Step, field: Field, maps: Sequence[Tensor], levels: Sequence[Level]) -> list[Tensor]:
    """Return a field (N, 1, H, W) on the grids of some maps, level by level."""
    grids = tuple((x.shape[2], x.shape[3]) for x in maps)
    strides = tuple(level.stride for level in levels)

    def make() -> list[Tensor]:
        if field == "valuable":
            return valuable_regions(step.scene, grids, strides)
        if field == "background":
            return [background_masks(x) for x in fields_on(step, "foreground", maps, levels)]
        return [foreground_masks(step.scene, *level) for level in zip(grids, strides, strict=True)]

    return step.once((field, grids, strides), make)


share_neck = partial(share_maps, name="global")


def share_masked(student: Side, teacher: Side, field: Field) -> SharedMasked:
    """Share the neck's maps under FGD's mask."""
    maps = share_neck(student, teacher)
    return SharedMasked(maps.student, maps.teacher, maps.levels, maps.notes, field)


def share_instances(student: Side, teacher: Side) -> SharedInstances:
    """Share the objects' features, from levels that have the same channels in the teacher."""
    maps = share_neck(student, teacher)
    if len({shape[0] for shape in maps.teacher}) > 1:
        raise AbsentError(f"the teacher's levels have {', '.join(str(s[0]) for s in maps.teacher)} channels")
    shape: Shape = (maps.teacher[0][0], INSTANCE_SIDE, INSTANCE_SIDE)
    return SharedInstances((shape,), (shape,), maps.levels, maps.notes)


def share_field(student: Side, teacher: Side, field: Field) -> SharedField:
    """Share a field on the levels of the necks."""
    maps = share_neck(student, teacher)
    shapes = tuple((1, *shape[1:]) for shape in maps.teacher)
    return SharedField(shapes, shapes, maps.levels, (), field)


SOURCE = Source(
    "neck",
    (Reader(("global",), lambda detector: [pyramid(detector)], _read, head=first_head),),
    {
        "global": share_neck,
        "foreground": partial(share_masked, field="foreground"),
        "background": partial(share_masked, field="background"),
        "instance": share_instances,
        "foreground_mask": partial(share_field, field="foreground"),
        "background_mask": partial(share_field, field="background"),
        "valuable_region": partial(share_field, field="valuable"),
    },
)
