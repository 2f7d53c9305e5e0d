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
from mmdet.models.dense_heads import DETRHead
from mmdet.models.detectors import DDQDETR, DINO
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.base_detr import DetectionTransformer
from torch import Tensor, nn

from ..parts import AbsentError
from ._base import Call, Ran, Reader, Side, Source
from ._matching import class_columns, class_notes, selected
from ._partners import box_gaps, class_gaps, class_probabilities, one_against_rest, partners
from ._query_stages import has_query_stages, read_stages, run_stages, stage_modules
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


def run_queries(detector: BaseDetector, ran: Ran) -> None:
    """Run what predicts for queries on the neck's maps."""
    (run_stages if has_query_stages(detector) else _run_decoder)(detector, ran)


def _modules(detector: BaseDetector) -> list[nn.Module]:
    return stage_modules(detector) if has_query_stages(detector) else [query_head(detector)]


def _read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    return (read_stages if has_query_stages(detector) else _read_decoder)(detector, calls)


def _run_decoder(detector: Any, ran: Ran) -> None:
    found = detector.forward_transformer(ran.maps, ran.samples)
    query_head(detector)(**found)


def _read_decoder(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    call = calls[0][0]
    wanted = matching_queries(detector, call)
    logits, boxes = (x[:, :, wanted].float().flatten(1, 2) for x in call.output)  # (layers, N Q, ...)
    return {"query_logits": list(logits), "query_boxes": list(corners(boxes))}


def matching_queries(detector: BaseDetector, call: Call) -> slice:
    """Return which of a head's queries predict, among those that are there for training alone."""
    if not (call.training and isinstance(detector, DINO)):
        return slice(None)
    count = detector.num_queries
    denoising = call.output[0].shape[2] - count
    if isinstance(detector, DDQDETR):
        denoising -= detector.cache_dict["num_dense_queries"]
    return slice(denoising, denoising + count)


def corners(boxes: Tensor) -> Tensor:
    """Turn centre and size (..., 4) to corners."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def in_pixels(boxes: Tensor, sizes: Sizes) -> Tensor:
    """Bring boxes (N, Q, 4) in parts of their images to pixels of the padded input.

    Args:
        boxes: of all images.
        sizes: (height, width) of each image without its padding.
    """
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
    """Share the predictions of two query heads.

    Raises:
        AbsentError: a detector has no query head, or the teacher does not know the student's classes.
    """
    ours, theirs = student.output("query_logits"), teacher.output("query_logits")
    columns = class_columns(student, teacher)
    softmax = has_background(student), has_background(teacher)
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


def has_background(side: Side) -> bool:
    """Whether a query head's class logits have a column for the background."""
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
