"""Predictions of any two detectors: the teacher's best on each image, each with one of the student's candidates.

Outputs, in eval mode alone: ``prediction_logits`` (N 100, K), as of sigmoids whatever the head has, and
``prediction_boxes`` (N 100, 4), of queries in parts of their image, else in units of 32 pixels. Images with fewer
predictions are filled up with logits of -40. A dense head predicts at every location and anchor, a query head with its
last decoder layer, a two-stage detector on the proposals of its own RPN.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures.bbox import bbox2roi
from torch import Tensor, nn
from torchvision.ops import batched_nms

from ..parts import AbsentError, dense_head, num_classes, prior_generator, rpn_head
from ._base import Call, Ran, Reader, Rest, Side, Source, tensors_in
from ._candidates import READERS, Candidates, Head
from ._matching import class_columns, class_notes, selected
from ._partners import box_gaps, class_gaps, class_probabilities, one_against_rest, partners
from ._shared import Outputs, Pairs, Shape, Shared, Step
from .box_maps import prior_strides
from .dense_head import OBJECTS
from .query_head import in_pixels, run_queries
from .roi_head import boxes_of, run_box_stages

What = Literal["logits", "boxes", "score"]

KEPT, FIRST = 100, 1000
"""Predictions of an image that are kept, and those that duplicates are looked for among."""

OVERLAP = 0.6
"""IoU from which the lower of two predictions of one class is a duplicate."""

LEAST, ROWS = 0.05, 32
"""The score and the number of an image's predictions that a student learns; the best one it learns in any case."""

NEAREST = 64
"""Candidates of the student, those with the nearest boxes, among which a prediction's partner is looked for."""

NOTHING, MIN_SCORE = -40.0, 1e-12
"""The logit of what fills up an image's predictions, and a score above it."""

UNIT = 32.0
"""Pixels in which boxes are kept, so that half precision holds them."""

NO_HEAD = Head("locations", softmax=False)


def _kind(detector: BaseDetector) -> str:
    """Return what a detector predicts for, a key of READERS."""
    reasons = []
    for kind, readers in READERS.items():
        try:
            readers[0].modules(detector)
            return kind
        except AbsentError as reason:
            reasons.append(str(reason))
    raise AbsentError("; ".join(dict.fromkeys(reasons)))


def _modules(detector: BaseDetector) -> Sequence[nn.Module]:
    kind = _kind(detector)
    modules = READERS[kind][0].modules(detector)
    return [rpn_head(detector), *modules] if kind == "regions" else modules


def _rest(detector: BaseDetector) -> Rest | None:
    rest: dict[str, Rest] = {"queries": run_queries, "regions": run_regions}
    return rest.get(_kind(detector))


def run_regions(detector: BaseDetector, ran: Ran) -> None:
    """Run the box stages of a two-stage detector on the proposals of its RPN."""
    rpn = rpn_head(detector)
    metas = [sample.metainfo for sample in ran.samples]
    found = rpn.predict_by_feat(*ran.heads[rpn], batch_img_metas=metas, rescale=False)
    rois = bbox2roi([proposals.bboxes for proposals in found])
    if len(rois):
        run_box_stages(detector, ran.maps, [rois], [meta["img_shape"][:2] for meta in metas])


def _read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    if not calls[0] or calls[0][0].training:
        raise AbsentError("predictions are those of eval mode")
    kind, first = _kind(detector), tensors_in(calls[0][0].output)[0]
    outputs: Outputs = {}
    for reader in READERS[kind]:
        outputs.update(reader.read(detector, calls[kind == "regions" :]))
    levels: list[tuple[float, int]] = []
    if kind == "locations":
        dense = dense_head(detector)
        levels = list(zip(prior_strides(dense), prior_generator(dense).num_base_priors, strict=True))
        with suppress(AbsentError):
            outputs.update(OBJECTS.read(detector, calls))
    if kind == "regions":  # a cascade predicts with the mean of its stages
        outputs["roi_logits"] = [torch.stack(outputs["roi_logits"]).mean(dim=0)] if outputs["roi_logits"] else []
    count = first.shape[-3 if kind == "queries" else 0]  # before queries and classes; a DETR's layers come first
    classes = num_classes(detector) or 0
    found = [_nothing(first, classes)] * count
    if all(outputs.values()):
        head = Head.of_outputs(outputs, classes, levels)
        found = [best_of(one, softmax=head.softmax) for one in head.candidates(outputs, count)]
    logits, boxes = (torch.cat(side) for side in zip(*found, strict=True))
    return {"prediction_logits": [logits], "prediction_boxes": [boxes if kind == "queries" else boxes / UNIT]}


def _nothing(like: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    return like.new_full((KEPT, classes), NOTHING).float(), like.new_zeros((KEPT, 4)).float()


def best_of(candidates: Candidates, *, softmax: bool) -> tuple[Tensor, Tensor]:
    """Return the best of an image's candidates without duplicates: logits (100, K) as of sigmoids, boxes (100, 4).

    A candidate counts with the class that it scores best.
    """
    logits, boxes = candidates
    score, label = class_probabilities(logits, softmax=softmax).max(dim=1)
    score, order = score.topk(min(FIRST, len(score)))
    chosen = boxes_of(boxes[order], label[order])
    kept = batched_nms(chosen, score, label[order], OVERLAP)[:KEPT]
    logits, chosen = logits[order][kept], chosen[kept]
    found = one_against_rest(logits) if softmax else logits
    filled, corners = _nothing(logits, found.shape[1])
    filled[: len(kept)], corners[: len(kept)] = found, chosen
    return filled, corners


@dataclass(frozen=True)
class SharedPredictions(Shared):
    """The teacher's best predictions of a batch as rows, each with one of the student's candidates.

    Attributes:
        what: class logits (M, K) as of sigmoids, boxes (M, 4), or the teacher's best class probability (M, 1).
        head: the student's.
        columns: for each class of the student the teacher's column.
        parts: whether the teacher's boxes are in parts of their image.
    """

    student_outputs: tuple[str, ...] = ()  # type: ignore[misc]
    teacher_outputs: ClassVar[tuple[str, ...]] = ("prediction_logits", "prediction_boxes")
    what: What = "logits"
    head: Head = NO_HEAD
    columns: tuple[int, ...] = ()
    parts: bool = False

    def pairs(self, step: Step) -> Pairs:
        """Return what is wanted; all images are one level."""
        found = step.once("predictions", lambda: self._matched(step))
        return [found[self.what]]

    def _matched(self, step: Step) -> dict[What, tuple[Tensor, Tensor]]:
        """Return rows of both sides by what they are."""
        sizes = step.scene.image_sizes
        (logits,), (boxes,) = step.teacher["prediction_logits"], step.teacher["prediction_boxes"]
        logits = selected(logits, self.columns, axis=1).unflatten(0, (len(sizes), -1))
        boxes = boxes.unflatten(0, (len(sizes), -1))
        boxes = in_pixels(boxes, sizes) if self.parts else boxes * UNIT
        found = [
            self._of_image(ours, *taught(*theirs))
            for ours, *theirs in zip(self.head.candidates(step.student, sizes), logits, boxes, sizes, strict=True)
        ]
        rows = [torch.cat(side) for side in zip(*found, strict=True)]
        score = rows[1].sigmoid().amax(dim=1, keepdim=True)
        return {"logits": (rows[0], rows[1]), "boxes": (rows[2], rows[3]), "score": (score, score)}

    def _of_image(self, candidates: Candidates, logits: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        """Return logits of both sides, then boxes of both sides."""
        own, corners = candidates
        labels = logits.argmax(dim=1)
        with torch.no_grad():
            rows, columns = self._partners(candidates, logits.sigmoid(), boxes, labels)
        s = one_against_rest(own[columns]) if self.head.softmax else own[columns]
        return s, logits[rows], boxes_of(corners[columns], labels[rows]), boxes[rows]

    def _partners(self, candidates: Candidates, theirs: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return indices of the teacher's rows and of the student's candidates, one to one."""
        logits, corners = candidates
        of_class = corners.transpose(0, 1)[labels] if corners.shape[1] > 1 else corners.transpose(0, 1)  # (M, T, 4)
        gaps = box_gaps(of_class, boxes[:, None])
        near = gaps.topk(min(NEAREST, gaps.shape[1]), dim=1, largest=False).indices.unique()
        ours = class_probabilities(logits[near], softmax=self.head.softmax)
        rows, columns = partners(gaps[:, near] + class_gaps(theirs, ours), theirs.amax(dim=1))
        return rows, near[columns]


def taught(logits: Tensor, boxes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return what a student learns of an image's predictions (100, K) and (100, 4).

    Those of at least `LEAST` that do not lie in the padding, `ROWS` at most; the best one in any case, if there is any.
    Logits are as of sigmoids, boxes in pixels, and the size is (height, width) of the image without its padding.
    """
    low, high = boxes[:, :2].clamp_min(0), torch.minimum(boxes[:, 2:], boxes.new_tensor(size[::-1]))
    score = logits.sigmoid().amax(dim=1) * (high > low).all(dim=1)
    score, order = score.topk(ROWS)
    least = score[0].clamp(MIN_SCORE, LEAST)
    return logits[order[score >= least]], boxes[order[score >= least]]


def share_predictions(student: Side, teacher: Side, what: What) -> SharedPredictions:
    """Share the predictions of two detectors."""
    student.output("prediction_logits"), teacher.output("prediction_logits")
    columns, head = class_columns(student, teacher), Head.of_side(student)
    width = {"logits": len(columns), "boxes": 4, "score": 1}[what]
    shapes: tuple[Shape, ...] = ((ROWS, width),)
    notes = ("the teacher's best, one to one with the student's nearest", *class_notes(columns))
    parts = Head.of_side(teacher).kind == "queries"
    return SharedPredictions(shapes, shapes, (), notes, head.outputs, what, head, columns, parts)


SOURCE = Source(
    "predictions",
    (Reader(("prediction_logits", "prediction_boxes"), _modules, _read, once=False, rest=_rest),),
    {
        "predicted_logits": partial(share_predictions, what="logits"),
        "predicted_boxes": partial(share_predictions, what="boxes"),
        "predicted_score": partial(share_predictions, what="score"),
    },
)
