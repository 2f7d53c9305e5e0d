"""The RoI head of a two-stage detector: class logits, boxes and scores of regions.

Outputs, for every stage that ran: ``rois`` (R, 5), image index and box; ``roi_logits`` (R, K + 1), the background's
last; ``roi_boxes`` (R, 1 or K, 4), decoded, where the box head predicts boxes. The student's regions are the ones that
both are compared on, so the teacher's RoI head runs at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.roi_heads import (
    CascadeRoIHead,
    DoubleHeadRoIHead,
    HybridTaskCascadeRoIHead,
    SABLHead,
    SparseRoIHead,
    StandardRoIHead,
)
from torch import Tensor, nn

from ..modes import evaluating
from ..parts import AbsentError
from ._base import Call, Reader, Side, Source, by_region
from ._matching import class_columns, class_notes, selected
from ._shared import Outputs, Pairs, Shape, Shared, Step

What = Literal["logits", "boxes", "score"]

NAMES = ("rois", "roi_logits", "roi_boxes")
KNOWN = (StandardRoIHead, CascadeRoIHead, DoubleHeadRoIHead, HybridTaskCascadeRoIHead)
"""Second stages whose forward of a box head is known here."""


class RoiStage(NamedTuple):
    """One stage of a second stage: an extractor from (maps, rois (R, 5)) to features, and the head that takes these."""

    extractor: nn.Module
    head: Any


class RegionOutputs(NamedTuple):
    """What a box stage predicts on regions: logits (R, K + 1), the background's last, and decoded boxes (R, 1 or K, 4).

    Boxes are not clipped, and None where the box head predicts none.
    """

    logits: Tensor
    boxes: Tensor | None


def roi_head(detector: BaseDetector) -> Any:
    """Return the second stage of a two-stage detector."""
    head = getattr(detector, "roi_head", None)
    if not isinstance(head, (StandardRoIHead, CascadeRoIHead)):
        raise AbsentError(f"{type(detector).__name__} has no RoI head")
    return head


def box_stages(detector: BaseDetector) -> tuple[RoiStage, ...]:
    """Return the box stages of a two-stage detector, one or those of a cascade."""
    head = roi_head(detector)
    if isinstance(head, SparseRoIHead):
        raise AbsentError(f"{type(head).__name__}'s regions are queries, and what they predict is shared as theirs")
    if type(head)._bbox_forward not in [known._bbox_forward for known in KNOWN]:
        raise AbsentError(f"{type(head).__name__} runs its box head in a way that is not known here")
    stages = stages_of(head.bbox_roi_extractor, head.bbox_head)
    for stage in stages:
        if not getattr(stage.head, "with_cls", True):
            raise AbsentError(f"{type(stage.head).__name__} predicts no classes")
    return stages


def stages_of(extractor: Any, head: Any) -> tuple[RoiStage, ...]:
    """Return the stages of a box or mask head and of its extractor: lists in a cascade."""
    if isinstance(head, nn.ModuleList):
        return tuple(RoiStage(e, h) for e, h in zip(extractor, head, strict=True))
    return (RoiStage(extractor, head),)


def _read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    """Read the last forward of every stage: a sampler that looks at scores (OHEM, PISA's) runs the head before."""
    found: list[tuple[Tensor, RegionOutputs]] = []
    for stage, extracted, predicted in zip(box_stages(detector), calls[::2], calls[1::2], strict=True):
        if predicted:
            rois, (logits, deltas) = extracted[-1].arguments[1], predicted[-1].output
            found.append((rois, RegionOutputs(logits.float(), _decoded(stage.head, rois, deltas))))
    return _outputs([rois for rois, _ in found], [one for _, one in found])


def _outputs(rois: list[Tensor], found: Sequence[RegionOutputs]) -> Outputs:
    boxes = [x.boxes for x in found if x.boxes is not None]
    return {"rois": rois, "roi_logits": [x.logits for x in found], **({"roi_boxes": boxes} if boxes else {})}


def _decoded(head: Any, rois: Tensor, deltas: Any) -> Tensor | None:
    """Decode a box head's predictions without clipping: (R, 1 or K, 4), one box for all classes or one each."""
    if not getattr(head, "with_reg", True):  # SABL's have both, and no such flags
        return None
    if isinstance(head, SABLHead):
        buckets = tuple(part.float() for part in deltas)
        return head.bbox_coder.decode(rois[:, 1:], buckets)[0][:, None] if len(rois) else rois.new_zeros(0, 1, 4)
    boxes = head.bbox_coder.decode(rois[:, 1:], deltas.float())
    return boxes.reshape(len(rois), -1, 4) if len(rois) else boxes.reshape(0, max(deltas.shape[1] // 4, 1), 4)


def _example(detector: BaseDetector, maps: Sequence[Tensor], size: tuple[int, int]) -> Outputs:
    regions = [whole_image(maps, size)] * len(box_stages(detector))
    return _outputs(regions, run_box_stages(detector, maps, regions, [size]))


def whole_image(maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Return one region (1, 5): all of the first image of some maps."""
    return maps[0].new_tensor([[0.0, 0.0, 0.0, size[1], size[0]]])


def run_box_stages(
    detector: BaseDetector, maps: Sequence[Tensor], rois: Sequence[Tensor], sizes: Sequence[tuple[int, int]]
) -> list[RegionOutputs]:
    """Run a detector's box stages on regions, in eval mode without gradient.

    A stage takes the regions of the stage of the same number. Where regions of one stage are given, a cascade predicts
    as ever: each stage refines the boxes of the one before, the logits of all are averaged, the last one's boxes count.

    Args:
        detector: two-stage.
        maps: its neck's levels.
        rois: (R, 5) for each stage of the detector that they come from.
        sizes: (height, width) of each image without its padding, to which refined regions are clipped.
    """
    head = roi_head(detector)
    stages = len(box_stages(detector))
    with evaluating(head):
        if stages > 1 and len(rois) == 1:
            return [_cascaded(head, maps, rois[0], stages, sizes)]
        return [_run(head, maps, *one) for one in zip(rois, stage_numbers(stages, rois), strict=True)]


def stage_numbers(stages: int, rois: Sequence[Tensor]) -> list[int | None]:
    """Return which stage takes the regions of each stage; None for the only one, which has no number."""
    return [min(number, stages - 1) if stages > 1 else None for number in range(len(rois))]


def _run(head: Any, maps: Sequence[Tensor], rois: Tensor, stage: int | None) -> RegionOutputs:
    """Run one box stage through the detector's own forward of it."""
    semantic = {"semantic_feat": head.semantic_head(maps)[1]} if getattr(head, "with_semantic", False) else {}  # HTC's
    found = head._bbox_forward(maps, rois) if stage is None else head._bbox_forward(stage, maps, rois, **semantic)
    box_head = head.bbox_head if stage is None else head.bbox_head[stage]
    return RegionOutputs(found["cls_score"].float(), _decoded(box_head, rois, found["bbox_pred"]))


def _cascaded(
    head: Any, maps: Sequence[Tensor], rois: Tensor, stages: int, sizes: Sequence[tuple[int, int]]
) -> RegionOutputs:
    limits = rois.new_tensor([(width, height, width, height) for height, width in sizes])
    found: list[RegionOutputs] = []
    for stage in range(stages):
        found.append(_run(head, maps, rois, stage))
        logits, boxes = found[-1]
        best = logits[:, :-1].argmax(dim=1)  # the best class other than the background
        refined = rois[:, 1:] if boxes is None else boxes_of(boxes, best)
        refined = torch.minimum(refined.clamp_min(0), limits[rois[:, 0].long()])
        rois = torch.cat([rois[:, :1], refined], dim=1)
    return RegionOutputs(torch.stack([one.logits for one in found]).mean(dim=0), found[-1].boxes)


def boxes_of(boxes: Tensor, labels: Tensor) -> Tensor:
    """Return for each region its box (R, 4) of a class (R,), of boxes (R, 1 or K, 4)."""
    column = labels if boxes.shape[1] > 1 else torch.zeros_like(labels)
    return boxes.gather(1, column[:, None, None].expand(-1, 1, 4)).squeeze(1)


@dataclass(frozen=True)
class SharedRegions(Shared):
    """The predictions of both second stages on the student's regions; a stage of the student is a level.

    Attributes:
        what: class logits (R, K + 1), boxes (R, 4) of the teacher's best class, or its probability (R, 1).
        columns: for each column of the student's logits the teacher's.
    """

    student_outputs: tuple[str, ...] = ()  # type: ignore[misc]
    teacher_outputs: ClassVar[tuple[str, ...]] = ("global",)
    runs_teacher: ClassVar[bool] = True
    what: What = "logits"
    columns: tuple[int, ...] = ()

    def pairs(self, step: Step) -> Pairs:
        """Return what is wanted, stage by stage."""
        found = step.once("regions", lambda: self._run(step))
        ours = (step.student[name] for name in self.student_outputs[1:])
        return [self._pair(theirs, *stage) for theirs, *stage in zip(found, *ours, strict=True)]

    def _run(self, step: Step) -> list[RegionOutputs]:
        teacher, maps = step.running_teacher(), step.teacher["global"]
        return run_box_stages(teacher, maps, step.student["rois"], step.scene.image_sizes)

    def _pair(self, found: RegionOutputs, logits: Tensor, boxes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        theirs = selected(found.logits, self.columns, axis=1)
        if self.what == "score":
            score = selected(found.logits.softmax(dim=1), self.columns[:-1], axis=1).amax(dim=1, keepdim=True)
            return score, score
        if boxes is None:
            return logits, theirs
        assert found.boxes is not None
        labels = theirs[:, :-1].argmax(dim=1)
        column = labels.new_tensor(self.columns)[labels]
        return boxes_of(boxes, labels), boxes_of(found.boxes, column)


def share_regions(student: Side, teacher: Side, what: What) -> SharedRegions:
    """Share the predictions of two second stages."""
    ours, theirs = student.output("roi_logits"), teacher.output("roi_logits")
    columns = (*class_columns(student, teacher), theirs[0].shape[1] - 1)
    if ours[0].shape[1] != len(columns):
        raise AbsentError(f"the student's RoI head has {ours[0].shape[1]} columns, wanted {len(columns)}")
    names = NAMES if what == "boxes" else NAMES[:2]
    for side in (student, teacher):
        if what == "boxes" and "roi_boxes" not in side.outputs:
            raise AbsentError(f"{side.who}'s box head predicts classes alone; its boxes are found elsewhere")
    width = {"logits": len(columns), "boxes": 4, "score": 1}[what]
    shapes: tuple[Shape, ...] = ((1, width),) * len(ours)
    notes = ("on the student's regions", *class_notes(columns[:-1]), *cascade_notes(len(ours), len(theirs)))
    if what == "boxes":
        notes = (*notes, "boxes of the teacher's best class")
    return SharedRegions(shapes, shapes, (), notes, names, what, columns)


def cascade_notes(ours: int, theirs: int) -> tuple[str, ...]:
    """Say that two second stages differ in their number of stages, where they do."""
    return () if ours == theirs else (f"the student has {ours} stage{'s' * (ours > 1)}, the teacher {theirs}",)


SOURCE = Source(
    "RoI head",
    (
        Reader(
            NAMES,
            lambda detector: [module for stage in box_stages(detector) for module in stage],
            _read,
            once=False,
            cut=by_region("rois"),
            fixed=("rois",),
            example=_example,
        ),
    ),
    {
        "class_logits": partial(share_regions, what="logits"),
        "boxes": partial(share_regions, what="boxes"),
        "box_score": partial(share_regions, what="score"),
    },
    called="two stages",
)
