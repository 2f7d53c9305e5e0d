"""The cross-head: the student's adapted maps through the teacher's dense head, against the teacher's own class logits.

Source: CrossKD (CVPR 2024), from the neck on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ..parts import AbsentError, dense_head
from ._base import Side, Source
from ._heads import class_rows, columns_of
from ._shared import Pairs, Shared, Step
from .dense_head import read_class_maps
from .neck import share_neck


@dataclass(frozen=True)
class SharedCrossHead(Shared):
    """The class logits of the teacher's dense head on the student's adapted maps, and on its own.

    Attributes:
        width: columns of the teacher's class logits.
        rows: whether as rows (N H W A, K) or as maps (N, A K, H, W).
    """

    student_outputs: ClassVar[tuple[str, ...]] = ("global",)
    teacher_outputs: ClassVar[tuple[str, ...]] = ("global", "class_map")
    adapts: ClassVar[tuple[str, ...]] = ("global",)
    runs_teacher: ClassVar[bool] = True
    width: int = 1
    rows: bool = True

    def pairs(self, step: Step) -> Pairs:
        """Return the logits, level by level."""
        head, maps = dense_head(step.running_teacher()), [ours for ours, _ in step.shared["global"].pairs(step)]
        crossed = step.once("crossed", lambda: read_class_maps(head, head(tuple(maps))))
        logits = list(zip(crossed, step.teacher["class_map"], strict=True))
        if not self.rows:
            return logits
        return [tuple(class_rows(x.unflatten(1, (-1, self.width))) for x in pair) for pair in logits]  # type: ignore[misc]


def share_cross_head(student: Side, teacher: Side, *, rows: bool) -> SharedCrossHead:
    """Share the teacher's dense head, whose levels the student has too."""
    own = teacher.output("class_map")
    maps = share_neck(student, teacher)
    wanted, have = teacher.strides["class_map"], [level.stride for level in maps.levels]
    if list(wanted) != have:
        raise AbsentError(f"the teacher's head stands on the strides {list(wanted)}, the pair shares {have}")
    width = columns_of(teacher, "class_map")
    made = [x.unflatten(1, (-1, width)) for x in own]
    shapes = tuple(tuple(class_rows(x).shape) if rows else tuple(x.flatten(1, 2).shape[1:]) for x in made)
    return SharedCrossHead(shapes, shapes, maps.levels, maps.notes, width, rows)


SOURCE = Source(
    "cross-head",
    knowledge={
        "cross_logits": partial(share_cross_head, rows=True),
        "cross_map": partial(share_cross_head, rows=False),
    },
)
