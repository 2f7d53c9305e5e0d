"""What two heads on the neck's maps share: class logits, boxes, and what weighs these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from ..parts import AbsentError
from ._base import Call, Reader, Share, Side
from ._matching import class_columns, class_notes, matched, selected
from ._shared import Outputs, Pairs, Shape, Shared, Step
from .box_maps import box_rows, check_boxes, read_box_maps
from .neck import fields_on

What = Literal["logits", "map", "boxes", "valuable", "score", "field"]


def head_reader(find: Callable[[BaseDetector], Any], output: str, read: Callable[[Any, Any], list[Tensor]]) -> Reader:
    """Return what reads an output of the head that is found, by what its forward returned."""

    def levels(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
        return {output: read(find(detector), calls[0][0].output)}

    return Reader((output,), lambda detector: [find(detector)], levels, head=find)


def box_reader(find: Callable[[BaseDetector], Any], output: str) -> Reader:
    """Return what reads the box maps of the head that is found, and holds them against its own prediction."""

    def levels(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
        call = calls[0][0]
        return {output: read_box_maps(find(detector), call.output, call.training)}

    def check(detector: BaseDetector, maps: Sequence[Tensor], size: tuple[int, int]) -> None:
        check_boxes(find(detector), maps, size)

    return Reader((output,), lambda detector: [find(detector)], levels, head=find, check=check)


@dataclass(frozen=True)
class SharedHead(Shared):
    """What two heads predict; an anchor's row is ``((n H + h) W + w) A + a``.

    Attributes:
        what: class ``logits`` (N H W A, K), or a ``map`` (N, A K, H, W) of them; decoded ``boxes`` (N H W A, 4);
            whether they are in LD's ``valuable`` region (N H W A, 1); their ``score`` (N H W A, 1), the teacher's best
            class probability times YOLOX's objectness, or a ``field`` (N, 1, H, W) of the best scores.
        classes: the output of their class logits: ``class_map`` or ``objectness_map``.
        boxes: the output of their boxes: ``box_map`` or ``proposal_map``.
        widths: columns of a row, of the student and of the teacher.
        columns: for each column of the student the teacher's; none where classes do not matter.
        best: whether only the best-scoring anchor of a location and class is compared, so that A is 1.
        anchors: for each level how many of a location are compared.
        softmax: whether the last column is the background's.
        strides: for each level the exact input pixels between two priors, of the student and of the teacher.
    """

    student_outputs: tuple[str, ...] = ()  # type: ignore[misc]
    teacher_outputs: tuple[str, ...] = ()  # type: ignore[misc]
    what: What = "logits"
    classes: str = ""
    boxes: str = ""
    widths: tuple[int, int] = (1, 1)
    columns: tuple[int, ...] = ()
    best: bool = False
    anchors: tuple[int, ...] = ()
    softmax: bool = False
    strides: tuple[tuple[float, float], ...] = ()

    def pairs(self, step: Step) -> Pairs:
        """Return what is wanted of every matched level; what weighs boxes stands on both sides."""
        if self.what == "map":
            return [(s.flatten(1, 2), t.flatten(1, 2)) for s, t in self._class_maps(step)]
        if self.what == "logits":
            return [(class_rows(s), class_rows(t)) for s, t in self._class_maps(step)]
        if self.what == "boxes":
            maps = zip(self._box_maps(step), self.strides, strict=True)
            return [(box_rows(s, strides[0]), box_rows(t, strides[1])) for (s, t), strides in maps]
        return [(x, x) for x in (self._valuable(step) if self.what == "valuable" else self._scores(step))]

    def _logits(self, step: Step) -> Pairs:
        """Return (N, A, K, H, W) of both sides, level by level, for all anchors and the student's classes."""

        def split() -> Pairs:
            ours, theirs = ((-1, width) for width in self.widths)
            maps = [(s.unflatten(1, ours), t.unflatten(1, theirs)) for s, t in self.both(step, self.classes)]
            return [(s, selected(t, self.columns, axis=2)) for s, t in maps]

        return step.once(("logits", self.classes), split)

    def _class_maps(self, step: Step) -> Pairs:
        if not self.best:
            return self._logits(step)

        def best() -> Pairs:
            return [(s.amax(dim=1, keepdim=True), t.amax(dim=1, keepdim=True)) for s, t in self._logits(step)]

        return step.once(("best logits", self.classes), best)

    def _box_maps(self, step: Step) -> Pairs:
        """Return (N, 4 A, H, W) of both sides, level by level."""
        maps = self.both(step, self.boxes)
        if not self.best:
            return maps
        levels = zip(maps, self._logits(step), strict=True)
        return [(best_box(s, ours), best_box(t, theirs)) for (s, t), (ours, theirs) in levels]

    def _scores(self, step: Step) -> list[Tensor]:
        found = []
        for level in self.levels:
            logits, *factors = (step.teacher[name][level.teacher] for name in self.teacher_outputs)
            logits = logits.unflatten(1, (-1, self.widths[1]))
            p = logits.softmax(dim=2) if self.softmax else logits.sigmoid()  # over all that the teacher knows
            score = selected(p, self.columns[:-1] if self.softmax else self.columns, axis=2).amax(dim=2)
            for factor in factors:
                score = score * factor.sigmoid()
            found.append(score.amax(dim=1, keepdim=True) if self.best else score)
        return found if self.what == "field" else [p.permute(0, 2, 3, 1).reshape(-1, 1) for p in found]

    def _valuable(self, step: Step) -> list[Tensor]:
        maps = [step.student[self.classes][level.student] for level in self.levels]
        fields = zip(fields_on(step, "valuable", maps, self.levels), self.anchors, strict=True)
        return [x.flatten().repeat_interleave(anchors)[:, None] for x, anchors in fields]


def class_rows(logits: Tensor) -> Tensor:
    """Write (N, A, K, H, W) as rows (N H W A, K); row ``((n H + h) W + w) A + a``."""
    return logits.permute(0, 3, 4, 1, 2).flatten(0, 3)


def best_box(box_map: Tensor, logits: Tensor) -> Tensor:
    """Take at every location the box (N, 4, H, W) of the anchor with the highest logit.

    Args:
        box_map: (N, 4 A, H, W).
        logits: (N, A, K, H, W).
    """
    anchor = logits.amax(dim=2).argmax(dim=1)[:, None, None]  # (N, 1, 1, H, W)
    boxes = box_map.unflatten(1, (-1, 4))
    return boxes.gather(1, anchor.expand(-1, 1, 4, -1, -1)).squeeze(1)


def of_heads(classes: str, boxes: str, /, **whats: What) -> dict[str, Share]:
    """Return by knowledge name what shares it, made of two heads with these outputs."""
    return {name: partial(share_heads, what=what, classes=classes, boxes=boxes) for name, what in whats.items()}


def share_heads(student: Side, teacher: Side, what: What, classes: str, boxes: str) -> SharedHead:
    """Share what two heads predict, whose classes go through the same activation."""
    levels, notes = matched(student, teacher, classes)
    own = [student.anchors[classes][level.student] for level in levels]
    best = not all(map(_same, own, [teacher.anchors[classes][level.teacher] for level in levels]))
    columns: tuple[int, ...] = ()
    softmax = False
    if best or what not in ("boxes", "valuable"):  # there classes matter only where they choose among anchors
        columns, softmax = _columns(student, teacher, classes)
    if best and softmax:
        raise AbsentError("their anchors differ, and logits of a softmax have no best-scoring anchor class by class")
    needed = (classes,) if what != "boxes" else (boxes, classes) if best else (boxes,)
    for name in needed:
        student.output(name), teacher.output(name)
    factors = factors_of(teacher, classes) if what == "score" else ()
    anchors = tuple(1 if best else len(level) for level in own)
    shapes: list[Shape] = []
    for count, level in zip(anchors, levels, strict=True):
        grid = student.output(classes)[level.student].shape[2:]
        width = {"logits": len(columns), "boxes": 4}.get(what, 1)
        shapes.append((count * len(columns), *grid) if what == "map" else (count * grid.numel(), width))
    return SharedHead(
        tuple(shapes),
        tuple(shapes),
        levels,
        (*notes, *(["the best-scoring anchor of each location and class"] if best else []), *class_notes(columns)),
        needed,
        (*needed, *factors),
        what,
        classes,
        boxes,
        widths=(columns_of(student, classes), columns_of(teacher, classes)),
        columns=columns,
        best=best,
        anchors=anchors,
        softmax=softmax,
        strides=tuple(
            (student.prior_strides[classes][level.student], teacher.prior_strides[classes][level.teacher])
            for level in levels
        ),
    )


def _columns(student: Side, teacher: Side, classes: str) -> tuple[tuple[int, ...], bool]:
    """Return the teacher's column for each of the student's, and whether the last is the background's."""
    softmax = [has_softmax(side, classes) for side in (student, teacher)]
    if softmax[0] != softmax[1]:
        kinds = ["a softmax" if one else "a sigmoid" for one in softmax]
        raise AbsentError(f"the student's class logits go through {kinds[0]}, the teacher's through {kinds[1]}")
    return teacher_columns(student, teacher, classes), softmax[0]


def teacher_columns(student: Side, teacher: Side, classes: str) -> tuple[int, ...]:
    """Return the teacher's column for each of the student's classes, then that of the background after a softmax."""
    columns = (0,) if classes == "objectness_map" else class_columns(student, teacher)
    return (*columns, columns_of(teacher, classes) - 1) if has_softmax(teacher, classes) else columns


def factors_of(side: Side, classes: str) -> tuple[str, ...]:
    """Return the outputs whose probabilities multiply those of the classes: YOLOX's objectness."""
    return ("object_map",) if classes == "class_map" and "object_map" in side.outputs else ()


def has_softmax(side: Side, classes: str) -> bool:
    """Whether a head's class logits have a column for the background."""
    known = 1 if classes == "objectness_map" else side.num_classes or 0
    return columns_of(side, classes) == known + 1


def columns_of(side: Side, classes: str) -> int:
    """Return how many class logits a head gives for each anchor."""
    return side.output(classes)[0].shape[1] // len(side.anchors[classes][0])


def _same(ours: Tensor, theirs: Tensor) -> bool:
    if len(ours) == len(theirs) == 1:
        return True
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, atol=1e-3)
