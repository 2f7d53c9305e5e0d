"""Boxes that dense heads predict, against what mmdet's own prediction decodes."""

from __future__ import annotations

import copy

import pytest
import torch
from mmdet.models.dense_heads import AnchorHead, SSDHead, YOLACTHead

from detkds_gp.detectors import DetectorSpec, Pairing, Scene, build_detector, check_pair, outputs_of
from detkds_gp.detectors.parts import AbsentError, first_head
from detkds_gp.detectors.sources.box_maps import box_rows, check_boxes, prior_strides, read_box_maps
from detkds_gp.detectors.sources.dense_head import read_bin_maps
from detkds_gp.errors import DetectorError

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
NARROW = _tiny(16, 64)
ALIGNED = {**NARROW, "model.bbox_head.norm_cfg": {"type": "GN", "num_groups": 8}}
SMALL_DARKNET = {
    "model.backbone.widen_factor": 0.125,
    "model.backbone.deepen_factor": 0.33,
    "model.neck.in_channels": [32, 64, 128],
    "model.neck.out_channels": 32,
    "model.bbox_head.in_channels": 32,
    "model.bbox_head.feat_channels": 32,
}
HEADS = {
    "retinanet": STUDENT,
    "fcos": FCOS,
    "fcos, normalised": DetectorSpec(NORMALISED, NARROW),
    "atss": SPECS["atss"],
    "gfl": GFL,
    "reppoints": DetectorSpec(POINTS, {**NARROW, "model.bbox_head.point_feat_channels": 64}),
    "reppoints, minmax": DetectorSpec(
        "mmdet::reppoints/reppoints-minmax_r50_fpn-gn_head-gn_1x_coco.py",
        {**NARROW, "model.bbox_head.point_feat_channels": 64},
    ),
    "rpn": DetectorSpec("mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", FASTER),
    "vfnet": DetectorSpec("mmdet::vfnet/vfnet_r50_fpn_1x_coco.py", NARROW),
    "fovea": DetectorSpec("mmdet::foveabox/fovea_r50_fpn_4xb4-1x_coco.py", NARROW),
    "ddod": DetectorSpec("mmdet::ddod/ddod_r50_fpn_1x_coco.py", NARROW),
    "centernet": DetectorSpec(
        "mmdet::centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py",
        NARROW,
    ),
    "tood": DetectorSpec("mmdet::tood/tood_r50_fpn_1x_coco.py", ALIGNED),
    "tood, anchors": DetectorSpec("mmdet::tood/tood_r50_fpn_anchor-based_1x_coco.py", ALIGNED),
    "sabl": DetectorSpec("mmdet::sabl/sabl-retinanet_r50_fpn_1x_coco.py", NARROW),
    "fsaf": DetectorSpec("mmdet::fsaf/fsaf_r50_fpn_1x_coco.py", NARROW),
    "autoassign": DetectorSpec("mmdet::autoassign/autoassign_r50-caffe_fpn_1x_coco.py", NARROW),
    "yolact": DetectorSpec(
        "mmdet::yolact/yolact_r50_1xb8-55e_coco.py",
        {
            **{key: value for key, value in NARROW.items() if "stacked_convs" not in key},
            "model.mask_head.in_channels": 64,
        },
    ),
    "ssd": DetectorSpec("mmdet::ssd/ssd300_coco.py", {"model.backbone.init_cfg": None}),
    "yolox": DetectorSpec("mmdet::yolox/yolox_tiny_8xb8-300e_coco.py", SMALL_DARKNET),
    "rtmdet": DetectorSpec(
        "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py", {**SMALL_DARKNET, "model.backbone.init_cfg": None}
    ),
}
SIZES = ((97, 131), (75, 69), (139, 101))
LARGER = ((301, 275), (299, 305), (287, 311))
PADDED = ("yolox", "rtmdet")
"""Those whose necks take multiples of 32 only."""


def sizes_of(name: str) -> tuple[tuple[int, int], ...]:
    if name == "ssd":  # its last layers are not padded
        return LARGER
    return tuple((32 * round(h / 32), 32 * round(w / 32)) for h, w in SIZES) if name in PADDED else SIZES


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow) if name == "ssd" else name for name in HEADS]
)
def named(request):
    """One of the detectors with a single class, its head's weights spread out so that boxes differ."""
    torch.manual_seed(0)
    detector = build_detector(HEADS[request.param], ("thing",)).eval()
    with torch.no_grad():
        for name, weight in first_head(detector).named_parameters():
            if weight.ndim == 4:
                weight.normal_(0, 0.02)
            elif name.endswith("bias"):
                weight.zero_()
    return request.param, detector


@pytest.fixture
def detector(named):
    return named[1]


def run(detector, training: bool, size: tuple[int, int] | None = None):
    head = first_head(detector)
    size = size or ((300, 300) if isinstance(head, SSDHead) else (96, 128))
    features = detector.extract_feat(torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1)))
    head.training = training  # of its own only: batch norm stays as it is
    try:
        return head, head(features)
    finally:
        head.training = False


def predicted(head, outputs):
    """Return what mmdet decodes of an image without NMS, and without clipping at the right and at the bottom."""
    config = copy.deepcopy(head.test_cfg)
    config.update(nms_pre=100000, score_thr=-1.0, min_bbox_size=-1, max_per_img=100000)
    config.nms = {"type": "nms", "iou_threshold": 1.0}  # RPN runs it in any case
    meta = {"img_shape": (1e6, 1e6), "ori_shape": (1e6, 1e6), "scale_factor": (1, 1)}
    if isinstance(head, YOLACTHead):  # its own gives coefficients of masks too, after its own NMS
        return AnchorHead.predict_by_feat(
            _Plain(head), *outputs[:2], batch_img_metas=[meta], cfg=config, with_nms=False
        )
    return head.predict_by_feat(*outputs, batch_img_metas=[meta], cfg=config, rescale=False, with_nms=False)


class _Plain(AnchorHead):
    """A head with the prediction of those that find no masks."""

    def __init__(self, head):
        self.__dict__ = head.__dict__


def test_they_are_those_that_mmdet_predicts(named):
    name, detector = named
    for size in sizes_of(name):
        with torch.no_grad():
            head, outputs = run(detector, training=False, size=size)
            maps = read_box_maps(head, outputs, training=False)
            ours = torch.cat([box_rows(x, s) for x, s in zip(maps, prior_strides(head), strict=True)])
            (expected,) = predicted(head, outputs)
        assert len(expected.bboxes.unique(dim=0)) > len(ours) // 4, size
        apart = torch.cdist(expected.bboxes.clamp_min(0), ours.clamp_min(0), p=torch.inf)  # mmdet clips to the image
        assert apart.amin(dim=1).max() < 1e-3, size
        if name != "rpn":  # NMS takes what is clipped to nothing
            assert apart.amin(dim=0).max() < 1e-3, size


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


def test_heads_that_predict_otherwise_are_refused_in_words():
    retina = build_detector(STUDENT, ("thing",))
    with pytest.raises(AbsentError, match="RetinaHead predicts boxes as numbers"):
        read_bin_maps(retina.bbox_head, ())
    guided = build_detector(DetectorSpec("mmdet::guided_anchoring/ga-retinanet_r50_fpn_1x_coco.py", NARROW), ("thing",))
    with pytest.raises(AbsentError, match="GARetinaHead predicts its anchors too"):
        read_box_maps(guided.bbox_head, (), training=False)


@pytest.mark.parametrize(
    ("config", "overrides", "head"),
    [("ga-retinanet_r50_fpn", NARROW, "GARetinaHead"), ("ga-faster-rcnn_r50_fpn", FASTER, "GARPNHead")],
)
def test_a_detector_that_predicts_no_batches_is_refused(config, overrides, head):
    spec = DetectorSpec(f"mmdet::guided_anchoring/{config}_1x_coco.py", overrides)
    guided = build_detector(spec, ("thing",), initialise=False)
    with pytest.raises(DetectorError, match=f"the student's {head} predicts one image at a time"):
        check_pair(guided, guided, (96, 128))


def test_a_reason_is_that_of_the_source_whose_modules_are_there():
    config = "mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py"
    yolo = build_detector(DetectorSpec(config, {"model.backbone.init_cfg": None}), ("thing",), initialise=False)
    refused = check_pair(yolo, yolo, (96, 128), names=["class_logits"]).refused
    assert refused["class_logits"] == "the student's YOLOV3Head offers no class map"


def test_boxes_that_a_head_places_otherwise_are_refused():
    torch.manual_seed(0)
    detector = build_detector(STUDENT, ("thing",)).eval()
    maps = detector.extract_feat(torch.zeros(1, 3, 96, 128))
    check_boxes(detector.bbox_head, maps, (96, 128))

    class Moved(type(detector.bbox_head)):
        def predict_by_feat(self, *outputs, **options):
            (found,) = super().predict_by_feat(*outputs, **options)
            found.bboxes = found.bboxes * 0.9 + 3
            return [found]

    detector.bbox_head.__class__ = Moved
    with pytest.raises(AbsentError, match=r"Moved places its boxes otherwise: .* up to \d.* pixels off"):
        check_boxes(detector.bbox_head, maps, (96, 128))
    refused = check_pair(detector, detector, (96, 128), names=["predicted_logits"]).refused
    assert refused["predicted_logits"] == "the student's detector predicts no class logits with boxes"


def test_boxes_are_held_against_those_before_paa_averages_them():
    torch.manual_seed(0)
    paa = build_detector(DetectorSpec("mmdet::paa/paa_r50_fpn_1x_coco.py", NARROW), ("thing",)).eval()
    with torch.no_grad():
        paa.bbox_head.atss_reg.weight.normal_(0, 0.1)
        maps = paa.extract_feat(torch.randn(1, 3, 96, 128))
    check_boxes(paa.bbox_head, maps, (96, 128))
    assert paa.bbox_head.with_score_voting


def test_objectness_is_a_factor_of_the_score_where_a_head_has_one():
    torch.manual_seed(0)
    yolox = build_detector(HEADS["yolox"], ("thing",)).eval()
    pair = check_pair(yolox, yolox, (96, 128), names=["box_score", "boxes", "teacher_score"])
    assert set(pair.shared) == {"global", "box_score", "boxes", "teacher_score"}
    inputs = torch.randn(1, 3, 96, 128)
    outputs = outputs_of(yolox, inputs, pair.teacher_outputs(pair.shared))
    pairing = Pairing(pair, ["box_score", "teacher_score"], torch.Generator())
    with torch.no_grad():
        found = pairing(outputs, outputs, Scene((torch.zeros(0, 4),), (96, 128)))
        classes, _, objects = yolox.bbox_head(yolox.extract_feat(inputs))
    for level, ((rows, _), (field, _)) in enumerate(zip(found["box_score"], found["teacher_score"], strict=True)):
        expected = classes[level].sigmoid().amax(dim=1) * objects[level].sigmoid()[:, 0]
        assert torch.allclose(rows.flatten(), expected.flatten(), atol=1e-6)
        assert torch.allclose(field[:, 0], expected, atol=1e-6)
