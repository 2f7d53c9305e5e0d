"""mmdet's detector families made narrow enough to train on a CPU in seconds, each a function of its width.

A width of 8 gives a ResNet whose stages have 8, 16, 32 and 64 channels, and a neck and heads of 16. Everything is
trained from scratch and suits square images of 64 pixels with objects of 10 to 30.
"""

from __future__ import annotations

from typing import Any

Detector = dict[str, Any]

GROUPS = 8  # of GroupNorm; mmdet's 32 are more than the channels here
DETECTIONS = 20  # a scene shows 7 digits at most
QUERIES = 20
ENCODED = 256  # mmdet encodes the boxes of Conditional DETR, DINO and DDQ with so many channels, whatever they have


def retinanet(width: int, depth: int = 18) -> Detector:
    head = {
        "anchor_generator.strides": [8, 16, 32],
        "anchor_generator.octave_base_scale": 2,
        "anchor_generator.scales_per_octave": 2,
        "anchor_generator.ratios": [1.0, 1.5],
    }
    return _dense("retinanet/retinanet_r50_fpn_1x_coco.py", width, depth, head)


def fcos(width: int, depth: int = 18) -> Detector:
    head = {
        "strides": [8, 16, 32],
        "regress_ranges": ((-1, 16), (16, 32), (32, 1e8)),
        "norm_cfg": {"type": "GN", "num_groups": GROUPS},
    }
    return _dense("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", width, depth, head)


def atss(width: int, depth: int = 18) -> Detector:
    return _dense("atss/atss_r50_fpn_1x_coco.py", width, depth, _one_anchor())


def gfl(width: int, depth: int = 18) -> Detector:
    head = {**_one_anchor(), "reg_max": 8}  # 8 strides of 8 pixels reach across the image
    return _dense("gfl/gfl_r50_fpn_1x_coco.py", width, depth, head)


def reppoints(width: int, depth: int = 18) -> Detector:
    head = {
        "point_strides": [8, 16, 32],
        "point_base_scale": 2,
        "point_feat_channels": 2 * width,
        "norm_cfg.num_groups": GROUPS,
    }
    detector = _dense("reppoints/reppoints-moment_r50_fpn-gn_head-gn_1x_coco.py", width, depth, head)
    detector["overrides"]["model.train_cfg.init.assigner.scale"] = 2
    return detector


def tood(width: int, depth: int = 18) -> Detector:
    return _dense("tood/tood_r50_fpn_1x_coco.py", width, depth, {**_one_anchor(), "stacked_convs": 2})


def vfnet(width: int, depth: int = 18) -> Detector:
    head = {
        "strides": [8, 16, 32],
        "regress_ranges": ((-1, 16), (16, 32), (32, 1e8)),
        "norm_cfg": {"type": "GN", "num_groups": GROUPS},
        "anchor_generator": {
            "type": "AnchorGenerator",
            "ratios": [1.0],
            "octave_base_scale": 2,
            "scales_per_octave": 1,
            "center_offset": 0.0,
            "strides": [8, 16, 32],
        },
    }
    return _dense("vfnet/vfnet_r50_fpn_1x_coco.py", width, depth, head)


def yolox(width: int) -> Detector:
    detector = _csp("yolox/yolox_tiny_8xb8-300e_coco.py", width)
    detector["overrides"]["model.data_preprocessor.batch_augments"] = None  # both see images of one size
    return detector


def rtmdet(width: int) -> Detector:
    detector = _csp("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", width)
    detector["overrides"] |= {"model.backbone.init_cfg": None, "model.test_cfg.nms_pre": 100}
    return detector


def faster_rcnn(width: int, depth: int = 18) -> Detector:
    return _two_stage("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", width, depth)


def cascade_rcnn(width: int, depth: int = 18) -> Detector:
    return _two_stage("cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py", width, depth, cascade=True)


def mask_rcnn(width: int, depth: int = 18) -> Detector:
    return _two_stage("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", width, depth, masks=True)


def cascade_mask_rcnn(width: int, depth: int = 18) -> Detector:
    return _two_stage("cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py", width, depth, cascade=True, masks=True)


def detr(width: int, depth: int = 18) -> Detector:
    return _queries("detr/detr_r50_8xb2-150e_coco.py", width, depth, {})


def conditional_detr(width: int, depth: int = 18) -> Detector:
    return _queries("conditional_detr/conditional-detr_r50_8xb2-50e_coco.py", width, depth, {}, ENCODED)


def dab_detr(width: int, depth: int = 18) -> Detector:
    return _queries("dab_detr/dab-detr_r50_8xb2-50e_coco.py", width, depth, {})


def deformable_detr(width: int, depth: int = 18) -> Detector:
    config = "deformable_detr/deformable-detr-refine_r50_16xb2-50e_coco.py"
    return _queries(config, width, depth, _three_levels())


def dino(width: int, depth: int = 18) -> Detector:
    own = {**_three_levels(), "model.dn_cfg.group_cfg.num_dn_queries": 10}
    return _queries("dino/dino-4scale_r50_8xb2-12e_coco.py", width, depth, own, ENCODED)


def ddq_detr(width: int, depth: int = 18) -> Detector:
    own = {**_three_levels(), "model.dn_cfg.group_cfg.num_dn_queries": 10}
    return _queries("ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py", width, depth, own, ENCODED)


def sparse_rcnn(width: int, depth: int = 18) -> Detector:
    channels, head = 2 * width, "model.roi_head.bbox_head"
    overrides = {
        **_backbone_and_neck(width, depth, levels=4),
        "model.rpn_head.num_proposals": QUERIES,
        "model.rpn_head.proposal_feature_channel": channels,
        "model.roi_head.proposal_feature_channel": channels,
        "model.roi_head.bbox_roi_extractor.out_channels": channels,
        "model.roi_head.bbox_roi_extractor.finest_scale": 8,
        "model.test_cfg.rcnn.max_per_img": DETECTIONS,
    }
    for stage in range(6):
        overrides[f"{head}.{stage}.in_channels"] = channels
        overrides[f"{head}.{stage}.feedforward_channels"] = 16 * width
        overrides[f"{head}.{stage}.dynamic_conv_cfg.in_channels"] = channels
        overrides[f"{head}.{stage}.dynamic_conv_cfg.feat_channels"] = width
        overrides[f"{head}.{stage}.dynamic_conv_cfg.out_channels"] = channels
    return {"config": "mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py", "overrides": overrides}


def _one_anchor() -> dict[str, Any]:
    return {
        "anchor_generator.strides": [8, 16, 32],
        "anchor_generator.octave_base_scale": 2,
        "norm_cfg": {"type": "GN", "num_groups": GROUPS},
    }


def _dense(config: str, width: int, depth: int, head: dict[str, Any]) -> Detector:
    """Return a one-stage detector with three levels; ``head`` has the keys of its own."""
    common = {"in_channels": 2 * width, "feat_channels": 2 * width, "stacked_convs": 1}
    overrides = {
        **_backbone_and_neck(width, depth, levels=3),
        **{f"model.bbox_head.{key}": value for key, value in {**common, **head}.items()},
        "model.test_cfg.nms_pre": 100,
        "model.test_cfg.score_thr": 0.0,  # barely trained, a focal loss still scores all below mmdet's 0.05
        "model.test_cfg.max_per_img": DETECTIONS,
    }
    return {"config": f"mmdet::{config}", "overrides": overrides}


def _csp(config: str, width: int) -> Detector:
    """Return a one-stage detector on a CSP backbone, whose three levels have 4, 8 and 16 times the width."""
    overrides = {
        "model.backbone.widen_factor": width / 64,
        "model.backbone.deepen_factor": 0.33,
        "model.neck.in_channels": [4 * width, 8 * width, 16 * width],
        "model.neck.out_channels": 2 * width,
        "model.bbox_head.in_channels": 2 * width,
        "model.bbox_head.feat_channels": 2 * width,
        "model.bbox_head.stacked_convs": 1,
        "model.test_cfg.score_thr": 0.0,
        "model.test_cfg.max_per_img": DETECTIONS,
    }
    return {"config": f"mmdet::{config}", "overrides": overrides}


def _two_stage(config: str, width: int, depth: int, cascade: bool = False, masks: bool = False) -> Detector:
    """Return a two-stage detector with four levels; a cascade has three box heads and one kind of mask head."""
    channels = 2 * width
    proposals = {"nms_pre": 100, "max_per_img": 50}
    overrides = {
        **_backbone_and_neck(width, depth, levels=4),
        "model.rpn_head.in_channels": channels,
        "model.rpn_head.feat_channels": channels,
        "model.rpn_head.anchor_generator.strides": [4, 8, 16, 32],
        "model.rpn_head.anchor_generator.scales": [2],
        "model.train_cfg.rpn.sampler.num": 32,
        "model.train_cfg.rpn_proposal": proposals,
        "model.test_cfg.rpn": proposals,
        "model.test_cfg.rcnn.score_thr": 0.0,
        "model.test_cfg.rcnn.max_per_img": DETECTIONS,
        "model.roi_head.bbox_roi_extractor.out_channels": channels,
        "model.roi_head.bbox_roi_extractor.finest_scale": 8,  # boxes below 16 pixels on the finest level
    }
    if masks:
        extractor, head = "model.roi_head.mask_roi_extractor", "model.roi_head.mask_head"
        overrides |= {f"{extractor}.out_channels": channels, f"{extractor}.finest_scale": 8}
        overrides |= {f"{head}.num_convs": 1, f"{head}.in_channels": channels, f"{head}.conv_out_channels": channels}
    for stage in (".0", ".1", ".2") if cascade else ("",):
        overrides[f"model.train_cfg.rcnn{stage}.sampler.num"] = 32
        overrides[f"model.roi_head.bbox_head{stage}.in_channels"] = channels
        overrides[f"model.roi_head.bbox_head{stage}.fc_out_channels"] = 2 * channels
    return {"config": f"mmdet::{config}", "overrides": overrides}


def _three_levels() -> dict[str, Any]:
    """Return what makes deformable attention look at strides 8, 16 and 32."""
    return {
        "model.backbone.out_indices": (1, 2, 3),
        "model.num_feature_levels": 3,
        "model.encoder.layer_cfg.self_attn_cfg.num_levels": 3,
        "model.decoder.layer_cfg.cross_attn_cfg.num_levels": 3,
    }


def _queries(config: str, width: int, depth: int, own: dict[str, Any], channels: int | None = None) -> Detector:
    """Return a DETR with one encoder and two decoder layers, on stride 16 if on one level.

    It has 4 width channels where none are given, and 16 width in its feed-forward layers.
    """
    channels = channels or 4 * width
    levels = own.get("model.backbone.out_indices", (3,))
    overrides = {
        **_backbone_and_neck(width, depth, levels=len(levels)),
        "model.backbone.out_indices": levels,
        "model.backbone.strides": (1, 2, 2, 2 if len(levels) > 1 else 1),
        "model.neck.in_channels": [width * 2**level for level in levels],
        "model.neck.out_channels": channels,
        "model.neck.norm_cfg": {"_delete_": True, "type": "GN", "num_groups": GROUPS},
        "model.num_queries": QUERIES,
        "model.positional_encoding.num_feats": channels // 2,
        "model.bbox_head.embed_dims": channels,
        "model.test_cfg.max_per_img": DETECTIONS,
        **own,
    }
    for part, layers in (("encoder", 1), ("decoder", 2)):
        overrides[f"model.{part}.num_layers"] = layers
        overrides[f"model.{part}.layer_cfg.ffn_cfg.embed_dims"] = channels
        overrides[f"model.{part}.layer_cfg.ffn_cfg.feedforward_channels"] = 16 * width
        overrides[f"model.{part}.layer_cfg.self_attn_cfg.embed_dims"] = channels
    overrides["model.decoder.layer_cfg.cross_attn_cfg.embed_dims"] = channels
    return {"config": f"mmdet::{config}", "overrides": overrides}


def _backbone_and_neck(width: int, depth: int, levels: int) -> dict[str, Any]:
    return {
        "model.backbone.depth": depth,
        "model.backbone.base_channels": width,
        "model.backbone.stem_channels": width,
        "model.backbone.frozen_stages": -1,
        "model.backbone.norm_eval": False,
        "model.backbone.norm_cfg.requires_grad": True,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [width, 2 * width, 4 * width, 8 * width],
        "model.neck.out_channels": 2 * width,
        "model.neck.norm_cfg": {"type": "GN", "num_groups": GROUPS},
        "model.neck.num_outs": levels,
    }
