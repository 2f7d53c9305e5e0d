"""The last maps of RetinaNet's classification tower: a source of knowledge of one's own, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mmdet.models.dense_heads import RetinaHead
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

from detkds_gp.detectors.parts import dense_head
from detkds_gp.detectors.sources import (
    AbsentError,
    Call,
    Outputs,
    Pairs,
    Reader,
    Shared,
    Side,
    Source,
    Step,
    matched,
    register_source,
    share_maps,
)
from detkds_gp.language import Map, Rows, input
from detkds_gp.primitives import OMNI


def tower(detector: BaseDetector) -> nn.ModuleList:
    """Return the layers of the tower."""
    head = dense_head(detector)
    if not isinstance(head, RetinaHead):
        raise AbsentError(f"{type(head).__name__} has no classification tower")
    return head.cls_convs


def read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    """Read the maps (N, C, H, W) of every level: the last layer runs once for each."""
    return {"tower": [call.output.float() for call in calls[0]]}


@dataclass(frozen=True)
class SharedEnergy(Shared):
    """The mean square of every location's vector as rows (N H W, 1)."""

    student_outputs: ClassVar[tuple[str, ...]] = ("tower",)
    teacher_outputs: ClassVar[tuple[str, ...]] = ("tower",)

    def pairs(self, step: Step) -> Pairs:
        ours, theirs = step.student["tower"], step.teacher["tower"]
        return [(energy(ours[level.student]), energy(theirs[level.teacher])) for level in self.levels]


@dataclass(frozen=True)
class SharedCrossTower(Shared):
    """The student's adapted maps of the neck through the teacher's tower, against the teacher's own."""

    student_outputs: ClassVar[tuple[str, ...]] = ("global",)
    teacher_outputs: ClassVar[tuple[str, ...]] = ("global", "tower")
    adapts: ClassVar[tuple[str, ...]] = ("global",)
    runs_teacher: ClassVar[bool] = True

    def pairs(self, step: Step) -> Pairs:
        layers = nn.Sequential(*tower(step.running_teacher()))
        crossed = [layers(ours) for ours, _ in step.shared["global"].pairs(step)]
        return list(zip(crossed, step.teacher["tower"], strict=True))


def energy(maps: Tensor) -> Tensor:
    return maps.square().mean(dim=1).reshape(-1, 1)


def share_energy(student: Side, teacher: Side) -> SharedEnergy:
    levels, notes = matched(student, teacher, "tower")
    shapes = tuple((student.output("tower")[level.student][0, 0].numel(), 1) for level in levels)
    return SharedEnergy(shapes, shapes, levels, notes)


def share_cross_tower(student: Side, teacher: Side) -> SharedCrossTower:
    levels, notes = matched(student, teacher, "global")
    shapes = tuple(tuple(teacher.output("tower")[level.teacher].shape[1:]) for level in levels)
    return SharedCrossTower(shapes, shapes, levels, notes)


register_source(
    Source(
        "classification tower",
        (Reader(("tower",), lambda detector: [tower(detector)[-1]], read, once=False, head=dense_head),),
        {"tower": partial(share_maps, name="tower"), "tower_energy": share_energy, "cross_tower": share_cross_tower},
        module=__name__,
    )
)


@input(Map, niche="tower", source="tower", latex="T")
def tower_maps() -> None:
    """Last maps of the classification tower, (N, C, H, W)."""


@input(Rows, niche="tower", latex=r"\|T\|^2")
def tower_energy() -> None:
    """Mean square of the tower at every location, (N H W, 1)."""


@input(Map, niche="tower", latex=r"T_{\times}")
def cross_tower() -> None:
    """The student's maps through the teacher's tower, (N, C, H, W)."""


OWN = OMNI.extended("OWN", tower_maps, tower_energy, cross_tower)
