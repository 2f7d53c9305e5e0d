"""Boxes that dense heads predict, against what mmdet's own prediction decodes."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict

from detkds_gp.detectors import DetectorSpec, build_detector
from detkds_gp.detectors.parts import AbsentError, first_head
from detkds_gp.detectors.sources.head_maps import box_rows, read_bin_maps, read_box_maps

from .conftest import FCOS, GFL, SPECS, STUDENT, _tiny

NORMALISED = "mmdet::fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py"
POINTS = "mmdet::reppoints/reppoints-moment_r50_fpn_1x_coco.py"
FASTER = {
    "model.backbone.depth": 18,
    "model.backbone.base_channels": 8,
    "model.backbone.init_cfg": None,
    "model.neck.in_channels": [8, 16, 32, 64],
    "model.neck.out_channels": 16,
    "model.rpn_head.in_channels": 16,
    "model.roi_head.bbox_roi_extractor.out_channels": 16,
    "model.roi_head.bbox_head.in_channels": 16,
    "model.roi_head.bbox_head.fc_out_channels": 32,
}
HEADS = {
    "retinanet": STUDENT,
    "fcos": FCOS,
    "fcos, normalised": DetectorSpec(NORMALISED, _tiny(16, 64)),
    "atss": SPECS["atss"],
    "gfl": GFL,
    "reppoints": DetectorSpec(POINTS, {**_tiny(16, 64), "model.bbox_head.point_feat_channels": 64}),
    "reppoints, minmax": DetectorSpec(
        "mmdet::reppoints/reppoints-minmax_r50_fpn-gn_head-gn_1x_coco.py",
        {**_tiny(16, 64), "model.bbox_head.point_feat_channels": 64},
    ),
    "rpn": DetectorSpec("mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", FASTER),
}


@pytest.fixture(scope="module", params=HEADS)
def detector(request):
    """One of the detectors with a single class, its head's weights spread out so that boxes differ."""
    torch.manual_seed(0)
    detector = build_detector(HEADS[request.param], ("thing",))
    with torch.no_grad():
        for name, weight in first_head(detector).named_parameters():
            if weight.ndim == 4:
                weight.normal_(0, 0.05)
            elif name.endswith("bias"):
                weight.zero_()
    return detector


def run(detector, training: bool):
    head = first_head(detector)
    features = detector.extract_feat(torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(1)))
    head.train(training)
    return head, head(features)


def predicted(head, outputs, image: int):
    """Return what mmdet decodes without NMS for one image: boxes in the order of falling scores."""
    config = ConfigDict(
        nms_pre=100000, score_thr=-1.0, min_bbox_size=-1, max_per_img=100000, nms={"type": "nms", "iou_threshold": 1.0}
    )
    metas = [{"img_shape": (1e6, 1e6), "scale_factor": (1, 1)}] * 2
    found = head.predict_by_feat(*outputs, batch_img_metas=metas, cfg=config, rescale=False, with_nms=False)
    return found[image].bboxes, found[image].scores


def test_they_are_those_that_mmdet_predicts(detector):
    detector.eval()
    with torch.no_grad():
        head, outputs = run(detector, training=False)
        maps = read_box_maps(head, outputs, training=False)
        ours = [box_rows(level, head.prior_generator.strides[i][0]) for i, level in enumerate(maps)]
        boxes, scores = predicted_by_level(head, outputs)
    for level, (rows, expected) in enumerate(zip(ours, boxes, strict=True)):
        logits = outputs[0][level].permute(0, 2, 3, 1).reshape(2, -1)
        order = logits.argsort(dim=1, descending=True)
        rows = rows.reshape(2, -1, 4)
        for image in range(2):
            mine = rows[image][order[image]].clamp_min(0)  # mmdet clips to the image
            assert torch.allclose(mine, expected[image], atol=2e-2, rtol=1e-4), level
            assert len(scores[level][image].unique()) > len(mine) // 2


def predicted_by_level(head, outputs):
    """Ask mmdet for each level alone, so that its sorting stays within the level."""
    boxes, scores = [], []
    for level in range(len(outputs[0])):
        alone = [[x if index == level else x[:, :, :0, :0] for index, x in enumerate(kind)] for kind in outputs]
        found = [predicted(head, alone, image) for image in range(2)]
        boxes.append([b for b, _ in found])
        scores.append([s for _, s in found])
    return boxes, scores


def test_train_and_eval_mode_give_the_same(detector):
    detector.eval()
    with torch.no_grad():
        quiet = read_box_maps(*run(detector, training=False), training=False)
        loud = read_box_maps(*run(detector, training=True), training=True)
    for a, b in zip(quiet, loud, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_the_gradient_reaches_the_head(detector):
    head, outputs = run(detector, training=True)
    maps = read_box_maps(head, outputs, training=True)
    total = sum(box_rows(level, 8).square().mean() for level in maps)
    total.backward()
    assert any(p.grad is not None and p.grad.any() for p in head.parameters())
    detector.zero_grad()


def test_bins_are_the_logits_whose_mean_is_the_distance():
    torch.manual_seed(0)
    detector = build_detector(GFL, ("thing",)).eval()
    with torch.no_grad():
        head, outputs = run(detector, training=False)
        bins, maps = read_bin_maps(head, outputs), read_box_maps(head, outputs, training=False)
    for level, boxes in zip(bins, maps, strict=True):
        n, _, h, w = level.shape
        p = level.reshape(n, 4, 17, h, w).softmax(dim=2)
        mean = (p * torch.arange(17.0)[None, None, :, None, None]).sum(dim=2)
        shift = torch.tensor([0.5, 0.5, -0.5, -0.5])[None, :, None, None]  # from anchor centre to cell centre
        assert torch.allclose(boxes, mean + shift, atol=1e-4)


def test_heads_that_predict_boxes_otherwise_are_refused_in_words():
    overrides = {**_tiny(16, 64), "model.bbox_head.norm_cfg": {"type": "GN", "num_groups": 8}}
    tood = build_detector(DetectorSpec("mmdet::tood/tood_r50_fpn_1x_coco.py", overrides), ("thing",))
    with pytest.raises(AbsentError, match="TOODHead predicts its boxes in a form that is not known"):
        read_box_maps(tood.bbox_head, (), training=False)
    retina = build_detector(STUDENT, ("thing",))
    with pytest.raises(AbsentError, match="RetinaHead predicts boxes as numbers"):
        read_bin_maps(retina.bbox_head, ())
