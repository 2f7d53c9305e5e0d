"""Masks that no region names, of YOLACT, CondInst, RTMDet-Ins, SOLO, SOLOv2 and Mask2Former: one for every object.

Outputs: ``instance_scores`` (N T, K), the class probabilities of all places that a mask is predicted for;
``instance_points`` (N T, 2), where these lie, in pixels; ``instance_extents`` (N, 2), what masks cover; and what these
follow from, see `_mask_ways`. Each side's mask of an object is that of one place, resampled on the object's box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.task_modules.assigners import CrossEntropyLossCost, DiceCost
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from ..parts import AbsentError
from ..scene import Scene
from ._base import Call, Reader, Side, Source
from ._mask_heads import mask_head_of
from ._mask_ways import SIDE, WAYS, logits_on_boxes, way_outputs
from ._matching import class_columns, class_notes
from ._shared import Outputs, Pairs, Shape, Shared, Step

PLACES = ("instance_scores", "instance_points", "instance_extents")
"""What is chosen by, and carries no gradient."""

CLASS_COST, MASK_COSTS = 2.0, (CrossEntropyLossCost(weight=5.0), DiceCost(weight=5.0, pred_act=True, eps=1.0))
"""What Mask2Former matches its queries by: class probability, cross-entropy and dice."""

WORST = 1e6
"""The cost of what is not finite."""

NEAR = 1e-2
"""Pixels by which points may be farther from a box than the nearest one, such as other anchors of one location."""

CLOSE = 1e-2
"""By how much of themselves two equal points or extents may differ, which may be kept at half precision."""


def places_of(outputs: Outputs, scene: Scene, image: int, labels: Tensor) -> Tensor:
    """Return the place (R,) of one detector for every object of an image; -1 where none is left.

    Of places that lie somewhere it is the one in the object's box that scores its class best; one in several boxes
    belongs to the smallest, and an object without any takes the nearest. Queries are matched with the objects' masks.
    The labels (R,) are the objects' classes as the detector counts them.
    """
    scores, boxes, count = outputs["instance_scores"][0], scene.boxes[image], len(scene.boxes)
    if not len(boxes):
        return labels.new_zeros(0)
    scores = scores.unflatten(0, (count, -1))[image][:, labels].T
    if "instance_points" in outputs:
        points = outputs["instance_points"][0].unflatten(0, (count, -1))[image]
        return best_in_boxes(scores, points, boxes)
    height, width = outputs["instance_extents"][0][image].long().tolist()
    return matched_queries(scores, outputs["instance_maps"][0][image].detach(), scene.drawn_masks(image, height, width))


def best_in_boxes(scores: Tensor, points: Tensor, boxes: Tensor) -> Tensor:
    """Return for every box (R, 4) the index of the point (T, 2) in it that scores (R, T) best."""
    inside = ((points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])).all(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)[:, None].where(inside, scores.new_tensor(float("inf")))
    own = inside & (area == area.amin(dim=0))
    apart = torch.cdist((boxes[:, :2] + boxes[:, 2:]) / 2, points)
    nearest = apart <= apart.amin(dim=1, keepdim=True) + NEAR
    own = own.where(own.any(dim=1, keepdim=True), nearest)
    return scores.where(own, -1.0).argmax(dim=1)


def matched_queries(scores: Tensor, maps: Tensor, masks: Tensor) -> Tensor:
    """Return for every object (R, H, W) the query whose mask (Q, h, w) and score (R, Q) cost least, one to one."""
    small = F.interpolate(masks[None].float(), maps.shape[1:], mode="bilinear", align_corners=False)[0]
    found, wanted = InstanceData(masks=maps), InstanceData(masks=small)
    cost = sum(mask_cost(found, wanted) for mask_cost in MASK_COSTS).T - CLASS_COST * scores
    rows, columns = linear_sum_assignment(cost.double().nan_to_num(WORST, WORST, -WORST).cpu().numpy())
    places = torch.full((len(masks),), -1, device=maps.device)
    places[torch.from_numpy(rows).to(maps.device)] = torch.from_numpy(columns).to(maps.device)
    return places


@dataclass(frozen=True)
class SharedInstanceMasks(Shared):
    """The mask logits (P, 1, 28, 28) of both detectors for every object, on its box.

    Attributes:
        columns: for each class of the student the teacher's number of it.
        together: whether both sides' places are the same ones, so that the teacher's choice is the student's too.
    """

    student_outputs: tuple[str, ...] = ()  # type: ignore[misc]
    teacher_outputs: tuple[str, ...] = ()  # type: ignore[misc]
    columns: tuple[int, ...] = ()
    together: bool = False

    def pairs(self, step: Step) -> Pairs:
        """Return the logits of all objects; all images are one level."""
        together = self.together and same(step.student, step.teacher, "instance_extents")
        found = [self._of_image(step, image, together) for image in range(len(step.scene.boxes))]
        ours, theirs = (torch.cat(side) for side in zip(*found, strict=True))
        return [(ours, theirs)]

    def _of_image(self, step: Step, image: int, together: bool) -> tuple[Tensor, Tensor]:
        scene, labels = step.scene, step.scene.labels[image]
        theirs = places_of(step.teacher, scene, image, labels.new_tensor(self.columns)[labels])
        ours = theirs if together else places_of(step.student, scene, image, labels)
        kept = (ours >= 0) & (theirs >= 0)
        boxes = scene.boxes[image][kept]
        return (
            logits_on_boxes(step.student, image, ours[kept], boxes),
            logits_on_boxes(step.teacher, image, theirs[kept], boxes),
        )


def share_masks(student: Side, teacher: Side) -> SharedInstanceMasks:
    """Share the masks of two detectors that find them without regions, each in its own way."""
    student.output("instance_scores"), teacher.output("instance_scores")
    ours, theirs = (_needed(side.outputs) for side in (student, teacher))
    together = same(student.outputs, teacher.outputs, "instance_points")
    columns = class_columns(student, teacher)
    shapes: tuple[Shape, ...] = ((1, SIDE, SIDE),)
    whose = "the teacher's" if together else "each side's"
    notes = ("on the objects' boxes", f"at {whose} best place for each object", *class_notes(columns))
    return SharedInstanceMasks(shapes, shapes, (), notes, ours, theirs, columns, together)


def _needed(outputs: Outputs) -> tuple[str, ...]:
    return (*(name for name in PLACES if name in outputs), *way_outputs(outputs))


def same(ours: Outputs, theirs: Outputs, name: str) -> bool:
    """Whether an output of two detectors, if both have it, is the same."""
    first, second = (outputs.get(name, [None])[0] for outputs in (ours, theirs))
    if first is None or second is None or first.shape != second.shape:
        return False
    return torch.allclose(first, second.to(first.device), rtol=CLOSE)


def _read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    if not all(calls):
        raise AbsentError("mask head did not run")
    return mask_head_of(detector).read(detector, calls)


SOURCE = Source(
    "masks without regions",
    (
        Reader(
            (*PLACES, *(name for way in WAYS for name in way)),
            lambda detector: mask_head_of(detector).modules(detector),
            _read,
            once=False,
            rest=lambda detector: mask_head_of(detector).rest,
            fixed=PLACES,
        ),
    ),
    {"mask_logits": share_masks},
)
