"""Matched predictions of any two detectors: against mmdet's own predictions, and a loop over pairs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from detkds_gp.configs.tiny._base_ import narrow
from detkds_gp.detectors import (
    DetectorSpec,
    Outputs,
    Pairing,
    Scene,
    Taps,
    build_detector,
    check_pair,
    outputs_on,
    scene_of,
)
from detkds_gp.detectors.sources.predictions import LEAST, ROWS, best_of, taught

from .test_query_head import CLASSES, SIZES, batch, stirred

__all__ = ["batch"]

NAMES = ("predicted_logits", "predicted_boxes", "predicted_score")
KINDS = (
    "retinanet", "fcos", "gfl", "reppoints", "yolox", "faster_rcnn", "cascade_rcnn", "detr", "deformable_detr", "dino",
)  # fmt: skip
PAIRS = (
    ("retinanet", "dino"), ("faster_rcnn", "detr"), ("fcos", "faster_rcnn"), ("cascade_rcnn", "gfl"), ("dino", "fcos"),
    ("detr", "retinanet"), ("retinanet", "reppoints"), ("retinanet", "yolox"),
    ("faster_rcnn", "cascade_rcnn"), ("detr", "dino"),
)  # fmt: skip
"""Student and teacher."""


def made(kind: str, seed: int = 0) -> BaseDetector:
    torch.manual_seed(seed)
    detector = build_detector(DetectorSpec(**getattr(narrow, kind)(8)), CLASSES)
    stirred(detector)
    return detector


def paired(
    student: BaseDetector, teacher: BaseDetector, batch: dict[str, Any], classes: Any = None
) -> tuple[list[tuple[Tensor, Tensor]], Outputs, Outputs, Scene]:
    pairing = Pairing(check_pair(student, teacher, (64, 64), classes), NAMES, torch.Generator())
    assert not pairing.runs_teacher
    data = student.train().data_preprocessor(batch, True)
    with Taps(student, pairing.student_outputs) as taps:
        student.loss(data["inputs"], data["data_samples"])
    ours, theirs = taps.outputs(), outputs_on(teacher, batch, pairing.teacher_outputs)
    pairs = pairing(ours, theirs, scene_of(data))
    return [pair for name in NAMES for pair in pairs[name]], ours, theirs, scene_of(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_teachers_predictions_are_its_own(kind: str, batch: dict[str, Any]) -> None:
    """Every kept prediction is one that mmdet gives too where it suppresses nothing, on odd sizes too."""
    detector = made(kind)
    if kind in ("faster_rcnn", "cascade_rcnn"):
        detector.roi_head.test_cfg.update(score_thr=0.0, max_per_img=10000, nms={"type": "nms", "iou_threshold": 1.0})
    else:
        detector.bbox_head.test_cfg.update(nms_pre=-1, max_per_img=80 if "det" in kind[2:] or kind == "dino" else 10000)
        detector.bbox_head.test_cfg.update(nms={"type": "nms", "iou_threshold": 1.0})
    if kind == "yolox":
        detector.bbox_head.test_cfg.score_thr = 0.0
    if kind == "detr":
        detector.bbox_head.test_cfg.max_per_img = narrow.QUERIES
    outputs = outputs_on(detector, batch, ("prediction_logits", "prediction_boxes"))
    data = detector.data_preprocessor(batch, False)
    detector.eval()
    with torch.no_grad():
        found = detector.predict(data["inputs"], data["data_samples"], rescale=False)
    logits, boxes = (outputs[f"prediction_{name}"][0].unflatten(0, (3, 100)) for name in ("logits", "boxes"))
    queries = kind in ("detr", "deformable_detr", "dino")
    for image, (height, width) in enumerate(SIZES):
        own, score = found[image].pred_instances, logits[image].sigmoid()
        corners = boxes[image] * (torch.tensor([width, height] * 2) if queries else 32)
        corners = torch.minimum(corners.clamp_min(0), torch.tensor([width, height] * 2))
        real = (score.amax(dim=1) > 1e-9) & (corners[:, 2:] > corners[:, :2]).all(dim=1)  # none in the padding
        assert real.any()
        best, label = score[real].max(dim=1)
        inside = torch.minimum(own.bboxes.clamp_min(0), torch.tensor([width, height] * 2))  # YOLOX's may lie outside
        apart = (corners[real][:, None] - inside).abs().amax(dim=2)
        apart = apart + 1e6 * (own.labels != label[:, None])
        if kind != "fcos":  # whose own score has the centre-ness in it
            apart = apart + (own.scores - best[:, None]).abs()
        assert apart.amin(dim=1).max() < 1e-3


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_each_has_the_nearest_candidate_and_reaches_the_backbone(
    first: str, second: str, batch: dict[str, Any]
) -> None:
    student, teacher = made(first), made(second, seed=1)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    (logits, boxes, score), _, theirs, _ = paired(student, teacher, batch)
    assert len(logits[0]) == len(boxes[0]) == len(score[0]) >= 3  # one an image at least
    assert logits[0].shape[1] == 4
    assert torch.allclose(score[1], logits[1].sigmoid().amax(dim=1, keepdim=True))
    kept = theirs["prediction_logits"][0]
    assert all((row == kept).all(dim=1).any() for row in logits[1])
    for s, t in (logits, boxes):
        student.zero_grad()
        (s - t).abs().mean().backward(retain_graph=True)
        gradient = student.backbone.conv1.weight.grad
        assert gradient.isfinite().all()
        assert gradient.any()
    assert not any(p.grad is not None for p in teacher.parameters())
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())


def test_partners_are_the_nearest_of_all_locations(batch: dict[str, Any]) -> None:
    """With one prediction an image, a loop over the student's locations is the oracle."""
    student, teacher = made("retinanet"), made("dino", seed=1)
    with torch.no_grad():  # so that nothing but the best of an image scores enough
        for branch in teacher.bbox_head.cls_branches:
            branch.bias.fill_(-9.0)
    (logits, boxes, _), ours, _, _ = paired(student, teacher, batch)
    assert len(logits[0]) == 3
    strides = (8, 16, 32)
    for image in range(3):
        p, best, box = logits[1][image].sigmoid(), (9.0, None, None), boxes[1][image]
        for level, stride in enumerate(strides):
            maps, sides = (ours[name][level][image].detach() for name in ("class_map", "box_map"))
            for anchor in range(4):
                for y in range(maps.shape[1]):
                    for x in range(maps.shape[2]):
                        left, top, right, bottom = sides[4 * anchor : 4 * anchor + 4, y, x] * stride
                        cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
                        own = torch.stack([cx - left, cy - top, cx + right, cy + bottom])
                        z = maps[4 * anchor : 4 * anchor + 4, y, x]
                        gap = float((z.sigmoid() - p).abs().max()) + (1 - giou(own, box)) / 2
                        best = min(best, (gap, z, own), key=lambda one: one[0])
        assert torch.allclose(logits[0][image], best[1])
        assert torch.allclose(boxes[0][image], best[2], atol=1e-3)


def giou(a: Tensor, b: Tensor) -> float:
    ax, ay, bx, by = a.tolist()
    cx, cy, dx, dy = b.tolist()
    shared = max(0.0, min(bx, dx) - max(ax, cx)) * max(0.0, min(by, dy) - max(ay, cy))
    union = (bx - ax) * (by - ay) + (dx - cx) * (dy - cy) - shared
    hull = (max(bx, dx) - min(ax, cx)) * (max(by, dy) - min(ay, cy))
    return shared / union - (hull - union) / hull


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cascade_rcnn"])
def test_a_teacher_as_its_own_student_has_nothing_to_teach(kind: str, batch: dict[str, Any]) -> None:
    """A cascade has: as a teacher it averages its stages, as a student it learns with the last."""
    detector = made(kind)
    pairing = Pairing(check_pair(detector, detector, (64, 64)), NAMES, torch.Generator())
    outputs = outputs_on(detector, batch, [*pairing.student_outputs, *pairing.teacher_outputs])
    scene = scene_of(detector.data_preprocessor(batch, True))
    for ((s, t),) in pairing(outputs, outputs, scene).values():
        assert len(s) >= 3
        assert torch.equal(s, t)


def test_classes_are_matched_by_name(batch: dict[str, Any]) -> None:
    """A teacher with a softmax knows more classes, in another order."""
    known = ("7", "hat", "4", "1", "0")
    torch.manual_seed(1)
    teacher = build_detector(DetectorSpec(**narrow.faster_rcnn(8)), known)
    (logits, _, _), _, theirs, _ = paired(made("dino"), teacher, batch, (CLASSES, known))
    kept = theirs["prediction_logits"][0][:, [4, 3, 2, 0]]
    assert all((row == kept).all(dim=1).any() for row in logits[1])


def test_duplicates_low_scores_and_fillings_are_not_taught() -> None:
    logits = torch.tensor([[2.0, -9.0], [1.0, -9.0], [-9.0, 0.5], [-4.0, -9.0], [-9.0, 3.0]])
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 9]]).float()
    kept, corners = best_of((logits, boxes[:, None]), softmax=False)
    assert kept.shape == (100, 2)
    assert torch.equal(kept[:4], logits[[4, 0, 2, 3]])  # row 1 repeats row 0; row 2 has another class
    assert torch.equal(corners[:4], boxes[[4, 0, 2, 3]])
    found, _ = taught(kept, corners, (64, 64))
    assert torch.equal(found, logits[[4, 0, 2]])
    assert float(logits[3].sigmoid().max()) < LEAST
    assert torch.equal(taught(kept, corners, (64, 40))[0], logits[[0, 2]])  # the best lies in the padding
    alone, where = taught(*best_of((logits[3:4], boxes[3:4, None]), softmax=False), (64, 64))
    assert torch.equal(alone, logits[3:4])
    assert torch.equal(where, boxes[3:4])
    nothing = best_of((logits[:0], boxes[:0, None]), softmax=False)
    assert len(taught(*nothing, (64, 64))[0]) == 0
    many = torch.arange(60.0)[:, None] * 20 + torch.tensor([0.0, 0.0, 10.0, 10.0])
    assert len(taught(*best_of((torch.ones(60, 2), many[:, None]), softmax=False), (2000, 2000))[0]) == ROWS


def test_in_train_mode_there_are_none(batch: dict[str, Any]) -> None:
    student = made("retinanet")
    data = student.data_preprocessor(batch, True)
    with Taps(student, ("prediction_logits",)) as taps:
        student.loss(data["inputs"], data["data_samples"])
    assert not taps.outputs()
    assert taps.absent["prediction_logits"] == "predictions are those of eval mode"
