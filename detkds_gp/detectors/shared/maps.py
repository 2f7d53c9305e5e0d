"""Knowledge of feature maps: the neck's levels, their parts under FGD's masks, instances, modules by path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..parts import AbsentError
from ..scene import (
    INSTANCE_SIDE,
    background_masks,
    foreground_masks,
    instance_features,
    valuable_regions,
)
from ..sides import Side
from ._base import Level, Pairs, Shape, Shared, Step, matched, shapes


@dataclass(frozen=True)
class SharedMaps(Shared):
    """Maps of both detectors level by level, the student's brought to the teacher's channels.

    Attributes:
        name: of the statement: ``global``, or a module's path.
    """

    name: str = "global"

    @property
    def heard(self) -> tuple[str, ...]:  # type: ignore[override]
        """Statements of the student that are needed."""
        return (self.name,)

    @property
    def kept(self) -> tuple[str, ...]:  # type: ignore[override]
        """Statements of the teacher that are needed."""
        return (self.name,)

    @property
    def adapts(self) -> tuple[str, ...]:  # type: ignore[override]
        """Maps whose channels it needs brought to the teacher's."""
        return (self.name,)

    def channels(self) -> list[tuple[int, int]] | None:
        """Return (student, teacher) channels of every level where an adapter is needed, else None."""
        if len(self.student[0]) != 3 or all(s[0] == t[0] for s, t in zip(self.student, self.teacher, strict=True)):
            return None
        return [(s[0], t[0]) for s, t in zip(self.student, self.teacher, strict=True)]

    def pairs(self, step: Step) -> Pairs:
        """Return the maps of every matched level, adapted."""
        ours, theirs = step.student[self.name], step.teacher[self.name]
        pairs = [(ours[level.student], theirs[level.teacher]) for level in self.levels]
        return step.once(("maps", self.name), lambda: step.adapted(self.name, pairs))


@dataclass(frozen=True)
class _OnMaps(Shared):
    """What is made of the neck's maps; it has their levels and adapters."""

    heard: ClassVar[tuple[str, ...]] = ("global",)
    kept: ClassVar[tuple[str, ...]] = ("global",)
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

    heard: ClassVar[tuple[str, ...]] = ("global",)
    kept: ClassVar[tuple[str, ...]] = ()
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

    heard: ClassVar[tuple[str, ...]] = ("global",)
    kept: ClassVar[tuple[str, ...]] = ()
    adapts: ClassVar[tuple[str, ...]] = ()

    def pairs(self, step: Step) -> Pairs:
        """Return (N, 1, H, W) of every level, on both sides."""
        return [
            (x, x) for x in valuable_fields(step, [step.student["global"][x.student] for x in self.levels], self.levels)
        ]


def valuable_fields(step: Step, maps: list[Tensor], levels: tuple[Level, ...]) -> list[Tensor]:
    """Return the valuable region on the grids of some maps."""
    grids = tuple((x.shape[2], x.shape[3]) for x in maps)
    strides = tuple(level.stride for level in levels)
    return step.once(("valuable", grids, strides), lambda: valuable_regions(step.scene, grids, strides))


def _mask(step: Step, like: Tensor, level: Level, foreground: bool) -> Tensor:
    grid = (like.shape[2], like.shape[3])
    inside = step.once(("inside", grid, level.stride), lambda: foreground_masks(step.scene, grid, level.stride))
    return inside if foreground else step.once(("outside", grid, level.stride), lambda: background_masks(inside))


def share_maps(student: Side, teacher: Side, name: str = "global") -> SharedMaps:
    """Match the maps of the neck, or of a module by its path, or what else a module gives.

    Raises:
        AbsentError: a side does not give them, or they cannot be compared.
    """
    ours, theirs = student.said(name), teacher.said(name)
    if {x.ndim for x in (*ours, *theirs)} == {4}:
        levels, notes = matched(student, teacher, name)
    elif [x.shape for x in ours] == [x.shape for x in theirs]:
        levels, notes = tuple(Level(0, index, index) for index in range(len(ours))), ()
    else:
        got = f"{_shapes_text(ours)} in the student, {_shapes_text(theirs)} in the teacher"
        raise AbsentError(f"it is {got}; only maps can be brought together")
    first, second = (
        shapes(said, [getattr(level, side) for level in levels])
        for said, side in ((ours, "student"), (theirs, "teacher"))
    )
    if first != second:
        notes = (*notes, "1x1 adapters to the teacher's channels")
    return SharedMaps(first, second, levels, notes, name)


def _shapes_text(said: list[Tensor]) -> str:
    return " and ".join(str(tuple(x.shape)) for x in said[:3])


def share_masked(student: Side, teacher: Side, *, foreground: bool) -> SharedMasked:
    """Share what `share_maps` shares, under FGD's mask."""
    maps = share_maps(student, teacher)
    return SharedMasked(maps.student, maps.teacher, maps.levels, maps.notes, foreground)


def share_instances(student: Side, teacher: Side) -> SharedInstances:
    """Share the objects' features; they need maps of as many channels on every level.

    Raises:
        AbsentError: the teacher's levels differ in channels.
    """
    maps = share_maps(student, teacher)
    if len({shape[0] for shape in maps.teacher}) > 1:
        raise AbsentError(f"the teacher's levels have {', '.join(str(s[0]) for s in maps.teacher)} channels")
    shape: Shape = (maps.teacher[0][0], INSTANCE_SIDE, INSTANCE_SIDE)
    return SharedInstances((shape,), (shape,), maps.levels, maps.notes)


def share_mask_field(student: Side, teacher: Side, *, foreground: bool) -> SharedMaskField:
    """Share FGD's mask on the levels of `share_maps`."""
    maps = share_maps(student, teacher)
    fields = _field_shapes(maps)
    return SharedMaskField(fields, fields, maps.levels, (), foreground)


def share_valuable_region(student: Side, teacher: Side) -> SharedValuableRegion:
    """Share LD's region on the levels of `share_maps`."""
    maps = share_maps(student, teacher)
    fields = _field_shapes(maps)
    return SharedValuableRegion(fields, fields, maps.levels)


def _field_shapes(maps: SharedMaps) -> tuple[Shape, ...]:
    return tuple((1, *shape[1:]) for shape in maps.teacher)
