"""The query head of a DETR-like detector: class logits, boxes and scores of queries, a level for each decoder layer.

Sparse R-CNN's stages count as decoder layers. Outputs, for every layer: ``query_logits`` (N Q, K), or (N Q, K + 1) of a
softmax, the background's last, and ``query_boxes`` (N Q, 4): x1, y1, x2, y2 in parts of the image without its padding.
Queries that are there for training alone (denoising ones, DDQ's dense ones) are cut out. Each of the teacher's queries
is compared with one of the student's, image by image and layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from mmdet.models.dense_heads import DETRHead, EmbeddingRPNHead
from mmdet.models.detectors import DDQDETR, DINO
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.base_detr import DetectionTransformer
from mmdet.models.roi_heads import SparseRoIHead
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ..parts import AbsentError
from ._base import Call, Ran, Reader, Side, Source
from ._matching import class_columns, class_notes, selected
from ._partners import box_gaps, class_gaps, class_probabilities, one_against_rest, partners
from ._shared import Outputs, Pairs, Shape, Shared, Step

What = Literal["logits", "boxes", "score"]
Sizes = Sequence[tuple[int, int]]


def query_head(detector: BaseDetector) -> Any:
    """Return the head of a DETR-like detector."""
    head = getattr(detector, "bbox_head", None)
    if not isinstance(detector, DetectionTransformer) or not isinstance(head, DETRHead):
        raise AbsentError(f"{type(detector).__name__} has no query head")
    if type(detector).forward_transformer not in (DetectionTransformer.forward_transformer, DINO.forward_transformer):
        raise AbsentError(f"{type(detector).__name__} runs its decoder in a way that is not known here")
    return head


def has_query_stages(detector: BaseDetector) -> bool:
    """Return whether a detector's regions are queries, whose boxes its stages refine: Sparse R-CNN and QueryInst."""
    head, first = getattr(detector, "roi_head", None), getattr(detector, "rpn_head", None)
    return isinstance(head, SparseRoIHead) and isinstance(first, EmbeddingRPNHead)


def run_queries(detector: Any, ran: Ran) -> None:
    """Run what predicts for queries on the neck's maps."""
    if has_query_stages(detector):
        regions = detector.rpn_head.predict(ran.maps, ran.samples)
        metas = [sample.metainfo for sample in ran.samples]
        detector.roi_head.predict_bbox(ran.maps, metas, regions, detector.roi_head.test_cfg, rescale=False)
    else:
        query_head(detector)(**detector.forward_transformer(ran.maps, ran.samples))


def _modules(detector: Any) -> list[nn.Module]:
    """Return the head, or the box heads of all stages, then what gives these their regions."""
    if has_query_stages(detector):
        return [*detector.roi_head.bbox_head, *detector.roi_head.bbox_roi_extractor]
    return [query_head(detector)]


def _read(detector: Any, calls: Sequence[Sequence[Call]]) -> Outputs:
    if has_query_stages(detector):
        return _read_stages(detector, calls)
    call = calls[0][0]
    wanted = matching_queries(detector, call)
    logits, boxes = (x[:, :, wanted].float().flatten(1, 2) for x in call.output)  # (layers, N Q, ...)
    return {"query_logits": list(logits), "query_boxes": list(bbox_cxcywh_to_xyxy(boxes))}


def _read_stages(detector: Any, calls: Sequence[Sequence[Call]]) -> Outputs:
    heads = detector.roi_head.bbox_head
    predicted, extracted = ([one for (one,) in part] for part in (calls[: len(heads)], calls[len(heads) :]))
    extents = _extents(detector.rpn_head, extracted[0].arguments[1][:, 1:])
    outputs: Outputs = {"query_logits": [], "query_boxes": []}
    for head, call, regions in zip(heads, predicted, extracted, strict=True):
        logits, deltas = (x.float().flatten(0, 1) for x in call.output[:2])
        outputs["query_logits"].append(logits)
        boxes = head.bbox_coder.decode(regions.arguments[1][:, 1:].float(), deltas)
        outputs["query_boxes"].append(boxes / extents)
    return outputs


def _extents(first: Any, regions: Tensor) -> Tensor:
    """Return (w, h, w, h) of the image of every region (N Q, 4): the first ones are learned parts of their image."""
    parts = bbox_cxcywh_to_xyxy(first.init_proposal_bboxes.weight).detach()
    sides = (regions.detach()[:, 2:] - regions.detach()[:, :2]).unflatten(0, (-1, len(parts)))
    sizes = (sides / (parts[:, 2:] - parts[:, :2])).median(dim=1).values.round()
    return torch.cat([sizes, sizes], dim=1).repeat_interleave(len(parts), dim=0).to(regions)


def matching_queries(detector: BaseDetector, call: Call) -> slice:
    """Return which of a head's queries predict, among those that are there for training alone."""
    if not (call.training and isinstance(detector, DINO)):
        return slice(None)
    count = detector.num_queries
    denoising = call.output[0].shape[2] - count
    if isinstance(detector, DDQDETR):
        denoising -= detector.cache_dict["num_dense_queries"]
    return slice(denoising, denoising + count)


def in_pixels(boxes: Tensor, sizes: Sizes) -> Tensor:
    """Bring boxes (N, Q, 4) in parts of their images, (height, width) without padding, to pixels of the input."""
    return boxes * boxes.new_tensor([(w, h, w, h) for h, w in sizes])[:, None]


@dataclass(frozen=True)
class SharedQueries(Shared):
    """Predictions of both detectors' queries as rows, the teacher's with the student's that is nearest to each.

    Attributes:
        what: class logits (N Q, K) or (N Q, K + 1), boxes (N Q, 4), or the teacher's best class probability (N Q, 1).
        layers: of the student and of the teacher, what is compared with what.
        columns: for each class of the student the teacher's column.
        softmax: whether the student's logits go through a softmax, whether the teacher's do.
    """

    student_outputs: ClassVar[tuple[str, ...]] = ("query_logits", "query_boxes")
    teacher_outputs: ClassVar[tuple[str, ...]] = ("query_logits", "query_boxes")
    what: What = "logits"
    layers: tuple[tuple[int, int], ...] = ()
    columns: tuple[int, ...] = ()
    softmax: tuple[bool, bool] = (False, False)

    def pairs(self, step: Step) -> Pairs:
        """Return what is wanted, layer by layer."""
        found = step.once("query partners", lambda: [self._partners(step, layer) for layer in self.layers])
        return [self._pair(step, layer, *rows) for layer, rows in zip(self.layers, found, strict=True)]

    def _partners(self, step: Step, layer: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return the rows of the student and of the teacher that are compared, image by image."""
        ours, theirs = (_by_image(step, p.detach()) for p in self._probabilities(step, layer))
        s, t = (_by_image(step, boxes.detach()) for boxes in self._boxes(step, layer))
        gaps = class_gaps(theirs, ours) + box_gaps(s[:, None], t[:, :, None])  # (N, the teacher's, the student's)
        rows = [partners(gap, score) for gap, score in zip(gaps.cpu(), theirs.amax(dim=2).cpu(), strict=True)]
        second, first = (torch.stack(side).to(gaps.device) for side in zip(*rows, strict=True))
        return _flat(first, gaps.shape[2]), _flat(second, gaps.shape[1])

    def _pair(self, step: Step, layer: tuple[int, int], first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        if self.what == "boxes":
            s, t = self._boxes(step, layer)
            return s[first], t[second]
        if self.what == "score":
            score = self._probabilities(step, layer)[1].amax(dim=1, keepdim=True)[second]
            return score, score
        s, t = step.student["query_logits"][layer[0]][first], step.teacher["query_logits"][layer[1]][second]
        if self.softmax == (True, True):
            return s, selected(t, (*self.columns, t.shape[1] - 1), axis=1)
        s, t = (one_against_rest(x) if softmax else x for x, softmax in zip((s, t), self.softmax, strict=True))
        return s, selected(t, self.columns, axis=1)

    def _probabilities(self, step: Step, layer: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return those of the student's classes on both sides, (N Q, K)."""
        ours = class_probabilities(step.student["query_logits"][layer[0]], softmax=self.softmax[0])
        theirs = class_probabilities(step.teacher["query_logits"][layer[1]], softmax=self.softmax[1])
        return ours, selected(theirs, self.columns, axis=1)

    def _boxes(self, step: Step, layer: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return the boxes of both sides in pixels, (N Q, 4)."""
        sizes = step.scene.image_sizes
        s, t = step.student["query_boxes"][layer[0]], step.teacher["query_boxes"][layer[1]]
        return tuple(in_pixels(_by_image(step, x), sizes).flatten(0, 1) for x in (s, t))  # type: ignore[return-value]


def _by_image(step: Step, rows: Tensor) -> Tensor:
    return rows.unflatten(0, (len(step.scene.boxes), -1))


def _flat(rows: Tensor, count: int) -> Tensor:
    """Turn indices (N, M) of the rows of each image, ``count`` of them, to those of all rows."""
    return (rows + count * torch.arange(len(rows), device=rows.device)[:, None]).flatten()


def share_queries(student: Side, teacher: Side, what: What) -> SharedQueries:
    """Share the predictions of two query heads."""
    ours, theirs = student.output("query_logits"), teacher.output("query_logits")
    columns = class_columns(student, teacher)
    softmax = _has_background(student), _has_background(teacher)
    count = min(len(ours), len(theirs))
    layers = tuple((len(ours) - back, len(theirs) - back) for back in range(count, 0, -1))
    width = {"logits": len(columns) + (softmax == (True, True)), "boxes": 4, "score": 1}[what]
    shapes: tuple[Shape, ...] = ((min(len(ours[0]), len(theirs[0])), width),) * count
    notes = ["one to one by class and box", *class_notes(columns)]
    if len(ours) != len(theirs):
        notes.append(f"the last {count} decoder layers")
    if what == "logits" and softmax[0] != softmax[1]:
        notes.append("logits of the softmax as each class's against the rest")
    return SharedQueries(shapes, shapes, (), tuple(notes), what, layers, columns, softmax)


def _has_background(side: Side) -> bool:
    return side.output("query_logits")[0].shape[1] == (side.num_classes or 0) + 1


SOURCE = Source(
    "query head",
    (Reader(("query_logits", "query_boxes"), _modules, _read, rest=lambda detector: run_queries),),
    {
        "query_logits": partial(share_queries, what="logits"),
        "query_boxes": partial(share_queries, what="boxes"),
        "query_score": partial(share_queries, what="score"),
    },
)
