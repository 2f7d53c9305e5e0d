"""How two heads on the neck's maps are brought together: levels, columns of classes, anchors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..parts import AbsentError
from ._base import Side
from ._matching import class_columns, matched, selected
from ._shared import Level, Pairs, Step


@dataclass(frozen=True)
class HeadMatch:
    """How two heads are brought together.

    Attributes:
        classes: the output of their class logits: ``class_map`` or ``objectness_map``.
        boxes: the output of their boxes: ``box_map`` or ``proposal_map``.
        levels: what is compared with what.
        widths: columns of a row, of the student and of the teacher.
        columns: for each column of the student the teacher's.
        best: whether only the best-scoring anchor of a location and class is compared.
        anchors: for each level how many of a location are compared.
        softmax: whether the last column is the background's.
        strides: for each level the exact input pixels between two priors, of the student and of the teacher.
        factors: the teacher's outputs whose probabilities multiply those of its classes.
    """

    classes: str
    boxes: str
    levels: tuple[Level, ...]
    widths: tuple[int, int]
    columns: tuple[int, ...]
    best: bool
    anchors: tuple[int, ...]
    softmax: bool
    strides: tuple[tuple[float, float], ...] = ()
    factors: tuple[str, ...] = ()

    def class_maps(self, step: Step) -> Pairs:
        """Return (N, A, K, H, W) logits of both sides, level by level; A is 1 where only the best count."""
        return step.once(("classes", self.classes), lambda: [self._classes(step, level) for level in self.levels])

    def _classes(self, step: Step, level: Level) -> tuple[Tensor, Tensor]:
        s, t = self._split(step, level)
        t = selected(t, self.columns, axis=2)
        return (s.amax(dim=1, keepdim=True), t.amax(dim=1, keepdim=True)) if self.best else (s, t)

    def _split(self, step: Step, level: Level) -> tuple[Tensor, Tensor]:
        ours, theirs = step.student[self.classes][level.student], step.teacher[self.classes][level.teacher]
        return ours.unflatten(1, (-1, self.widths[0])), theirs.unflatten(1, (-1, self.widths[1]))

    def box_maps(self, step: Step) -> Pairs:
        """Return (N, 4 A, H, W) box maps of both sides, level by level."""
        return step.once(("boxes", self.boxes), lambda: [self._boxes(step, level) for level in self.levels])

    def _boxes(self, step: Step, level: Level) -> tuple[Tensor, Tensor]:
        s, t = step.student[self.boxes][level.student], step.teacher[self.boxes][level.teacher]
        if not self.best:
            return s, t
        ours, theirs = self._split(step, level)
        return best_box(s, ours), best_box(t, selected(theirs, self.columns, axis=2))

    def probabilities(self, step: Step) -> list[Tensor]:
        """Return the teacher's best class probability (N, A, H, W) of every level."""
        return step.once(("scores", self.classes), lambda: [self._probability(step, level) for level in self.levels])

    def _probability(self, step: Step, level: Level) -> Tensor:
        _, logits = self._split(step, level)
        p = logits.softmax(dim=2) if self.softmax else logits.sigmoid()  # over all that the teacher knows
        best = selected(p, self.columns[:-1] if self.softmax else self.columns, axis=2).amax(dim=2)
        for name in self.factors:
            best = best * step.teacher[name][level.teacher].sigmoid()
        return best.amax(dim=1, keepdim=True) if self.best else best


def best_box(box_map: Tensor, logits: Tensor) -> Tensor:
    """Take at every location the box of the anchor with the highest logit.

    Args:
        box_map: (N, 4 A, H, W).
        logits: (N, A, K, H, W).

    Returns:
        (N, 4, H, W).
    """
    anchor = logits.amax(dim=2).argmax(dim=1)[:, None, None]  # (N, 1, 1, H, W)
    boxes = box_map.unflatten(1, (-1, 4))
    return boxes.gather(1, anchor.expand(-1, 1, 4, -1, -1)).squeeze(1)


def match_heads(student: Side, teacher: Side, classes: str, boxes: str, *, classless: bool = False) -> HeadMatch:
    """Say how two heads are brought together.

    Args:
        student: the detector that learns.
        teacher: the detector that knows.
        classes: the output of their class logits.
        boxes: the output of their boxes.
        classless: whether classes matter only where they choose among anchors.

    Raises:
        AbsentError: a side has none, or the classes or their activation differ.
    """
    levels, _ = matched(student, teacher, classes)
    own = [student.anchors[classes][level.student] for level in levels]
    best = not all(map(_same, own, [teacher.anchors[classes][level.teacher] for level in levels]))
    anchors = tuple(1 if best else len(anchors) for anchors in own)
    widths = columns_of(student, classes), columns_of(teacher, classes)
    exact = student.prior_strides[classes], teacher.prior_strides[classes]
    strides = tuple((exact[0][level.student], exact[1][level.teacher]) for level in levels)
    if classless and not best:
        return HeadMatch(classes, boxes, levels, widths, (), best, anchors, False, strides)
    columns, softmax = _columns(student, teacher, classes)
    if best and softmax:
        raise AbsentError("their anchors differ, and logits of a softmax have no best-scoring anchor class by class")
    factors = factors_of(teacher, classes)
    return HeadMatch(classes, boxes, levels, widths, columns, best, anchors, softmax, strides, factors)


def _columns(student: Side, teacher: Side, classes: str) -> tuple[tuple[int, ...], bool]:
    """Return the teacher's column for each of the student's, and whether the last is the background's."""
    softmax = [has_softmax(side, classes) for side in (student, teacher)]
    if softmax[0] != softmax[1]:
        kinds = ["a softmax" if one else "a sigmoid" for one in softmax]
        raise AbsentError(f"the student's class logits go through {kinds[0]}, the teacher's through {kinds[1]}")
    columns = (0,) if classes == "objectness_map" else class_columns(student, teacher)
    return ((*columns, columns_of(teacher, classes) - 1) if softmax[0] else columns), softmax[0]


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
