"""Knowledge of a second stage: both detectors on the student's regions; and the student through the teacher's head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from ..knowledge import class_maps
from ..parts import AbsentError, dense_head
from ..roi import RegionAnswer, ask_masks, ask_regions, boxes_of
from ..sides import Side
from ._base import Pairs, Shape, Shared, Step, class_columns, class_notes, selected
from .heads import class_rows
from .maps import share_maps


@dataclass(frozen=True)
class SharedRegions(Shared):
    """What both second stages say of the student's regions; a stage of the student is a level.

    Attributes:
        what: class logits (R, K + 1), boxes (R, 4) of the teacher's best class, or its probability (R, 1).
        columns: for each column of the student's logits the teacher's.
    """

    heard: ClassVar[tuple[str, ...]] = ("rois", "roi_logits", "roi_boxes")
    kept: ClassVar[tuple[str, ...]] = ("global",)
    live: ClassVar[bool] = True
    what: Literal["logits", "boxes", "score"] = "logits"
    columns: tuple[int, ...] = ()

    def pairs(self, step: Step) -> Pairs:
        """Return what is asked for, stage by stage."""
        answers = step.once("regions", lambda: self._ask(step))
        said = zip(step.student["roi_logits"], step.student["roi_boxes"], answers, strict=True)
        return [self._pair(logits, boxes, answer) for logits, boxes, answer in said]

    def _ask(self, step: Step) -> list[RegionAnswer]:
        sizes = step.scene.sizes or (step.scene.shape,) * len(step.scene.boxes)
        return ask_regions(step.teacher_itself(), step.teacher["global"], step.student["rois"], sizes)

    def _pair(self, logits: Tensor, boxes: Tensor, answer: RegionAnswer) -> tuple[Tensor, Tensor]:
        theirs = selected(answer.logits, self.columns, axis=1)
        if self.what == "logits":
            return logits, theirs
        if self.what == "score":
            score = selected(answer.logits.softmax(dim=1), self.columns[:-1], axis=1).amax(dim=1, keepdim=True)
            return score, score
        labels = theirs[:, :-1].argmax(dim=1)
        column = labels.new_tensor(self.columns)[labels]
        return boxes_of(boxes, labels), boxes_of(answer.boxes, column)


@dataclass(frozen=True)
class SharedMaskLogits(Shared):
    """The logits (P, K, h, w) of both mask heads on the student's positive regions.

    Attributes:
        columns: for each channel of the student the teacher's.
    """

    heard: ClassVar[tuple[str, ...]] = ("mask_rois", "mask_logits")
    kept: ClassVar[tuple[str, ...]] = ("global",)
    live: ClassVar[bool] = True
    columns: tuple[int, ...] = ()

    def pairs(self, step: Step) -> Pairs:
        """Return the logits, stage by stage."""
        answers = ask_masks(step.teacher_itself(), step.teacher["global"], step.student["mask_rois"])
        said = zip(step.student["mask_logits"], answers, strict=True)
        return [(ours, selected(theirs, self.columns, axis=1)) for ours, theirs in said]


@dataclass(frozen=True)
class SharedCrossHead(Shared):
    """The student's adapted maps through the teacher's dense head, against the teacher's own class logits.

    Attributes:
        width: columns of the teacher's class logits.
        rows: whether as rows (N H W A, K) or as maps (N, A K, H, W).
    """

    heard: ClassVar[tuple[str, ...]] = ("global",)
    kept: ClassVar[tuple[str, ...]] = ("global", "class_map")
    adapts: ClassVar[tuple[str, ...]] = ("global",)
    live: ClassVar[bool] = True
    width: int = 1
    rows: bool = True

    def pairs(self, step: Step) -> Pairs:
        """Return the logits, level by level."""
        crossed = step.once("crossed", lambda: self._cross(step))
        said = list(zip(crossed, step.teacher["class_map"], strict=True))
        if not self.rows:
            return said
        return [tuple(class_rows(x.unflatten(1, (-1, self.width))) for x in pair) for pair in said]  # type: ignore[misc]

    def _cross(self, step: Step) -> list[Tensor]:
        head = dense_head(step.teacher_itself())
        maps = [ours for ours, _ in step.shared["global"].pairs(step)]
        return class_maps(head, head(tuple(maps)))


def share_regions(student: Side, teacher: Side, what: Literal["logits", "boxes", "score"]) -> SharedRegions:
    """Share what two second stages say.

    Raises:
        AbsentError: a detector has no second stage, or the teacher does not know the student's classes.
    """
    ours, theirs = student.said("roi_logits"), teacher.said("roi_logits")
    columns = (*class_columns(student, teacher), theirs[0].shape[1] - 1)
    if ours[0].shape[1] != len(columns):
        raise AbsentError(f"the student's RoI head has {ours[0].shape[1]} columns, wanted {len(columns)}")
    width = {"logits": len(columns), "boxes": 4, "score": 1}[what]
    shapes: tuple[Shape, ...] = ((1, width),) * len(ours)
    notes = [*class_notes(columns[:-1]), *_cascade_notes(len(ours), len(theirs))]
    if what == "boxes":
        notes.append("boxes of the teacher's best class")
    return SharedRegions(shapes, shapes, (), ("on the student's regions", *notes), what, columns)


def share_masks(student: Side, teacher: Side) -> SharedMaskLogits:
    """Share the logits of two mask heads.

    Raises:
        AbsentError: a detector has no mask head, or theirs differ in size or classes.
    """
    ours, theirs = student.said("mask_logits"), teacher.said("mask_logits")
    agnostic = [s[0].shape[1] == 1 != side.num_classes for s, side in ((ours, student), (theirs, teacher))]
    if agnostic[0] != agnostic[1]:
        who = "the student" if agnostic[0] else "the teacher"
        raise AbsentError(f"{who} predicts one mask for all classes, the other one for each")
    if ours[0].shape[2:] != theirs[0].shape[2:]:
        raise AbsentError(f"the student's masks have side {ours[0].shape[3]}, the teacher's {theirs[0].shape[3]}")
    columns = (0,) if agnostic[0] else class_columns(student, teacher)
    shapes: tuple[Shape, ...] = (tuple(ours[0].shape[1:]),) * len(ours)
    notes = ("on the student's positive regions", *class_notes(columns), *_cascade_notes(len(ours), len(theirs)))
    return SharedMaskLogits(shapes, shapes, (), notes, columns)


def _cascade_notes(ours: int, theirs: int) -> tuple[str, ...]:
    if ours == theirs:
        return ()
    return (f"the student has {ours} stage{'s' * (ours > 1)}, the teacher {theirs}",)


def share_cross_head(student: Side, teacher: Side, *, rows: bool) -> SharedCrossHead:
    """Share the teacher's head.

    Raises:
        AbsentError: the teacher has no dense head, or the student lacks one of its levels.
    """
    own = teacher.said("class_map")
    maps = share_maps(student, teacher)
    wanted, have = teacher.strides["class_map"], [level.stride for level in maps.levels]
    if list(wanted) != have:
        raise AbsentError(f"the teacher's head stands on the strides {list(wanted)}, the pair shares {have}")
    made = [x.unflatten(1, (-1, teacher.columns)) for x in own]
    shapes = tuple(tuple(class_rows(x).shape) if rows else tuple(x.flatten(1, 2).shape[1:]) for x in made)
    return SharedCrossHead(shapes, shapes, maps.levels, maps.notes, teacher.columns, rows)
