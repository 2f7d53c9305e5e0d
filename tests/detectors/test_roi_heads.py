"""Second stages of other kinds than Faster R-CNN's: what they share, and their boxes against mmdet's own prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from detkds_gp.detectors import DetectorSpec, ImageInput, Taps, build_detector, check_pair, finds_masks, make_batch
from detkds_gp.detectors.sources.roi_head import box_stages
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import OMNI
from detkds_gp.training import DistilledDetector, seed_all

BODY = {
    "model.backbone.depth": 18,
    "model.backbone.base_channels": 8,
    "model.backbone.stem_channels": 8,
    "model.backbone.init_cfg": None,
    "model.backbone.frozen_stages": -1,
    "model.neck.in_channels": [8, 16, 32, 64],
    "model.neck.out_channels": 16,
    "model.rpn_head.in_channels": 16,
    "model.rpn_head.feat_channels": 16,
    "model.roi_head.bbox_roi_extractor.out_channels": 16,
}
HEAD = "model.roi_head.bbox_head"
PLAIN = {**BODY, f"{HEAD}.in_channels": 16, f"{HEAD}.fc_out_channels": 32}
MASK = "model.roi_head.mask_head"
DETECTORS = {
    "pisa": ("mmdet::pisa/faster-rcnn_r50_fpn_pisa_1x_coco.py", PLAIN),
    "double": (
        "mmdet::double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py",
        {**PLAIN, f"{HEAD}.conv_out_channels": 32, f"{HEAD}.num_convs": 1},
    ),
    "sabl": (
        "mmdet::sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py",
        {
            **BODY,
            **{f"{HEAD}.{part}": 16 for part in ("cls_in_channels", "reg_in_channels")},
            **{f"{HEAD}.{part}": 16 for part in ("reg_offset_out_channels", "reg_cls_out_channels")},
        },
    ),
    "grid": (
        "mmdet::grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco.py",
        {**PLAIN, "model.roi_head.grid_roi_extractor.out_channels": 16, "model.roi_head.grid_head.in_channels": 16},
    ),
    "htc": (
        "mmdet::htc/htc-without-semantic_r50_fpn_1x_coco.py",
        {
            **BODY,
            "model.roi_head.mask_roi_extractor.out_channels": 16,
            **{f"{HEAD}.{stage}.in_channels": 16 for stage in range(3)},
            **{f"{HEAD}.{stage}.fc_out_channels": 32 for stage in range(3)},
            **{f"{MASK}.{stage}.in_channels": 16 for stage in range(3)},
            **{f"{MASK}.{stage}.conv_out_channels": 16 for stage in range(3)},
        },
    ),
}
CLASSES = ("red", "white")


def build(name: str) -> Any:
    return build_detector(DetectorSpec(*DETECTORS[name]), CLASSES)


def batch(masks: bool) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    items = [
        ImageInput(
            array=rng.integers(0, 256, (64, 64, 3)).astype(np.uint8),
            resized=(64, 64),
            scale=(1, 1),
            original=(64, 64),
            boxes=np.array([[5, 8, 40, 44], [20, 20, 60, 58]], np.float32),
            labels=np.array([0, 1]),
            image_id=index,
            masks=[[[5, 8, 40, 8, 40, 44]], [[20, 20, 60, 20, 60, 58]]],
        )
        for index in range(2)
    ]
    return make_batch(items, [False, True], masks=masks)


@pytest.mark.parametrize("name", DETECTORS)
def test_what_a_pair_offers_is_trained_on(name: str) -> None:
    seed_all(0)
    student, teacher = build(name), build(name)
    pair = check_pair(student, teacher, (64, 64), (CLASSES, CLASSES))
    formulas = {"class_logits": "l2", "box_score": "", "boxes": "giou", "proposals": "giou"}
    assert {key for key in formulas if key not in pair.shared} == ({"boxes"} if name == "grid" else set())
    terms = [f"1 * 1 * {loss}({key})" for key, loss in formulas.items() if loss and key in pair.shared]
    model = DistilledDetector(student, DistillationLoss(" + ".join(terms), OMNI), pair, teacher).train()
    losses = {key: value for key, value in model.losses(batch(finds_masks(student))).items() if "distill" in key}
    assert len(losses) == len(terms)
    assert all(torch.isfinite(value).all() and value.sum() > 0 for value in losses.values())
    losses["loss_distill_class_logits"].mean().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in student.backbone.parameters())


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "grid"])
def test_boxes_are_those_that_mmdet_predicts(name: str) -> None:
    seed_all(0)
    detector = build(name).train()
    data = detector.data_preprocessor(batch(finds_masks(detector)), True)
    found: list[tuple[Any, Any]] = []
    stages = box_stages(detector)
    for stage in stages:
        stage.head.register_forward_hook(lambda module, inputs, output: found.append((module, output)))
    with torch.no_grad(), Taps(detector, ["rois", "roi_logits", "roi_boxes"]) as taps:
        detector.loss(data["inputs"], data["data_samples"])
    outputs = taps.outputs()
    meta = {"img_shape": (10**6, 10**6)}
    for index, (head, (logits, deltas)) in enumerate(found[-len(stages) :]):
        rois = outputs["rois"][index]
        assert torch.equal(outputs["roi_logits"][index], logits)
        theirs = head._predict_by_feat_single(rois, logits, deltas, meta, rcnn_test_cfg=None).bboxes
        ours = outputs["roi_boxes"][index]
        assert torch.allclose(ours.clamp_min(0).flatten(), theirs.flatten(), atol=1e-3)
        assert len(rois) == len(ours)
