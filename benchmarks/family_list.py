"""The detectors and unlike pairs that `families.py` tries: mmdet's configs, and what fits them to small images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FAMILIES = {
    # one stage
    "retinanet": "retinanet/retinanet_r18_fpn_1x_coco.py",
    "fcos": "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "atss": "atss/atss_r50_fpn_1x_coco.py",
    "gfl": "gfl/gfl_r50_fpn_1x_coco.py",
    "paa": "paa/paa_r50_fpn_1x_coco.py",
    "autoassign": "autoassign/autoassign_r50-caffe_fpn_1x_coco.py",
    "ddod": "ddod/ddod_r50_fpn_1x_coco.py",
    "tood": "tood/tood_r50_fpn_1x_coco.py",
    "vfnet": "vfnet/vfnet_r50_fpn_1x_coco.py",
    "foveabox": "foveabox/fovea_r50_fpn_4xb4-1x_coco.py",
    "fsaf": "fsaf/fsaf_r50_fpn_1x_coco.py",
    "free_anchor": "free_anchor/freeanchor_r50_fpn_1x_coco.py",
    "ghm": "ghm/retinanet_r50_fpn_ghm-1x_coco.py",
    "reppoints": "reppoints/reppoints-moment_r50_fpn-gn_head-gn_1x_coco.py",
    "sabl_retinanet": "sabl/sabl-retinanet_r50_fpn_1x_coco.py",
    "libra_retinanet": "libra_rcnn/libra-retinanet_r50_fpn_1x_coco.py",
    "pisa_retinanet": "pisa/retinanet-r50_fpn_pisa_1x_coco.py",
    "ga_retinanet": "guided_anchoring/ga-retinanet_r50_fpn_1x_coco.py",
    "nas_fcos": "nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco.py",
    "dyhead": "dyhead/atss_r50_fpn_dyhead_1x_coco.py",
    "yolof": "yolof/yolof_r50-c5_8xb8-1x_coco.py",
    "yolox": "yolox/yolox_tiny_8xb8-300e_coco.py",
    "yolox_l": "yolox/yolox_l_8xb8-300e_coco.py",
    "rtmdet": "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
    "rtmdet_l": "rtmdet/rtmdet_l_8xb32-300e_coco.py",
    "yolov3": "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py",
    "ssd": "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py",
    "centernet": "centernet/centernet_r18_8xb16-crop512-140e_coco.py",
    "centernet_update": "centernet/centernet-update_r18_fpn_8xb8-amp-lsj-200e_coco.py",
    "cornernet": "cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py",
    "ld": "ld/ld_r18-gflv1-r101_fpn_1x_coco.py",
    "lad": "lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py",
    # other backbones and necks
    "efficientnet": "efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py",
    "pvt": "pvt/retinanet_pvt-t_fpn_1x_coco.py",
    "swin_retinanet": "swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py",
    "swin": "swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py",
    "convnext": "convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py",
    "dcn": "dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py",
    "dcnv2": "dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py",
    "res2net": "res2net/faster-rcnn_res2net-101_fpn_2x_coco.py",
    "regnet": "regnet/retinanet_regnetx-800MF_fpn_1x_coco.py",
    "hrnet": "hrnet/fcos_hrnetv2p-w18-gn-head_4xb4-1x_coco.py",
    "pafpn": "pafpn/faster-rcnn_r50_pafpn_1x_coco.py",
    "nas_fpn": "nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco.py",
    # two stages
    "faster_rcnn": "faster_rcnn/faster-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco.py",
    "faster_rcnn_c4": "faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py",
    "cascade_rcnn": "cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py",
    "dynamic_rcnn": "dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py",
    "double_heads": "double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py",
    "sabl_faster_rcnn": "sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py",
    "sabl_cascade_rcnn": "sabl/sabl-cascade-rcnn_r50_fpn_1x_coco.py",
    "grid_rcnn": "grid_rcnn/grid-rcnn_r50_fpn_gn-head_1x_coco.py",
    "libra_rcnn": "libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py",
    "pisa": "pisa/faster-rcnn_r50_fpn_pisa_1x_coco.py",
    "crowddet": "crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py",
    "guided_anchoring": "guided_anchoring/ga-faster-rcnn_r50_fpn_1x_coco.py",
    "cascade_rpn": "cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco.py",
    "sparse_rcnn": "sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py",
    # instance and panoptic segmentation
    "mask_rcnn": "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    "cascade_mask_rcnn": "cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py",
    "htc": "htc/htc-without-semantic_r50_fpn_1x_coco.py",
    "scnet": "scnet/scnet_r50_fpn_1x_coco.py",
    "point_rend": "point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py",
    "ms_rcnn": "ms_rcnn/ms-rcnn_r50_fpn_1x_coco.py",
    "yolact": "yolact/yolact_r50_1xb8-55e_coco.py",
    "condinst": "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py",
    "boxinst": "boxinst/boxinst_r50_fpn_ms-90k_coco.py",
    "rtmdet_ins": "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py",
    "solo": "solo/solo_r18_fpn_8xb8-lsj-200e_coco.py",
    "decoupled_solo": "solo/decoupled-solo_r50_fpn_1x_coco.py",
    "solov2": "solov2/solov2-light_r18_fpn_ms-3x_coco.py",
    "mask2former": "mask2former/mask2former_r50_8xb2-lsj-50e_coco.py",
    "maskformer": "maskformer/maskformer_r50_ms-16xb1-75e_coco.py",
    "panoptic_fpn": "panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py",
    # queries
    "detr": "detr/detr_r18_8xb2-500e_coco.py",
    "conditional_detr": "conditional_detr/conditional-detr_r50_8xb2-50e_coco.py",
    "dab_detr": "dab_detr/dab-detr_r50_8xb2-50e_coco.py",
    "deformable_detr": "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py",
    "dino": "dino/dino-4scale_r50_8xb2-12e_coco.py",
    "ddq": "ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py",
}
"""By the name of a family, the config of mmdet that stands for it."""

PAIRS = {
    "dino_to_retinanet": ("retinanet", "dino"),
    "dino_to_rtmdet": ("rtmdet", "dino"),
    "deformable_detr_to_dino": ("dino", "deformable_detr"),
    "dino_to_detr": ("detr", "dino"),
    "cascade_mask_rcnn_to_fcos": ("fcos", "cascade_mask_rcnn"),
    "cascade_mask_rcnn_to_faster_rcnn": ("faster_rcnn", "cascade_mask_rcnn"),
    "faster_rcnn_to_fcos": ("fcos", "faster_rcnn"),
    "rtmdet_l_to_tiny": ("rtmdet", "rtmdet_l"),
    "yolox_l_to_tiny": ("yolox", "yolox_l"),
    "rtmdet_to_yolox": ("yolox", "rtmdet"),
    "gfl_to_retinanet": ("retinanet", "gfl"),
    "tood_to_atss": ("atss", "tood"),
    "swin_to_r18": ("retinanet", "swin_retinanet"),
    "swin_to_faster_rcnn": ("faster_rcnn", "swin"),
    "mask2former_to_mask_rcnn": ("mask_rcnn", "mask2former"),
    "mask2former_to_solov2": ("solov2", "mask2former"),
    "condinst_to_rtmdet_ins": ("rtmdet_ins", "condinst"),
    "sparse_rcnn_to_retinanet": ("retinanet", "sparse_rcnn"),
    "dino_to_sparse_rcnn": ("sparse_rcnn", "dino"),
    "yolof_to_retinanet": ("retinanet", "yolof"),
}
"""By the name of an unlike pair, the families of its student and its teacher."""

OWN_WIDTHS = frozenset(
    ("conditional_detr", "dino", "ddq", "ssd", "yolov3", "efficientnet", "regnet", "res2net", "hrnet",
     "faster_rcnn_c4", "cornernet", "convnext", "pvt")
)  # fmt: skip
"""Families whose widths are not all in their configs."""
WIDTHS = frozenset(
    ("base_channels", "stem_channels", "in_channels", "out_channels", "feat_channels", "conv_out_channels",
     "fc_out_channels", "point_feat_channels", "embed_dims", "feedforward_channels", "num_feats", "num_deconv_filters",
     "cls_in_channels", "reg_in_channels", "cls_out_channels", "reg_cls_out_channels", "reg_offset_out_channels",
     "proposal_feature_channel", "out_conv_channels")
)  # fmt: skip
"""Keys of mmdet's configs that hold widths."""
NARROWER = 4
LIMITS = {"nms_pre": 100, "max_per_img": 50, "num": 32}
"""Of candidates, of proposals and detections, of sampled regions."""


def limited(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that let a model keep and sample few boxes."""
    found = [*_settings("model.train_cfg", model.get("train_cfg")), *_settings("model.test_cfg", model.get("test_cfg"))]
    return {path: min(value, LIMITS[key]) for path, key, value in found if key in LIMITS and isinstance(value, int)}


def narrowed(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that make every width of a model a quarter."""
    found = {path: _quarter(value) for path, key, value in _settings("model", model) if key in WIDTHS}
    for path, key, value in _settings("model", model):
        if key == "widen_factor":
            found[path] = value / NARROWER
        elif key == "type" and value == "ResNet":
            found |= {path.replace("type", f"{part}_channels"): 64 // NARROWER for part in ("base", "stem")}
    return found


def _settings(path: str, part: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the dotted path, the key and the value of every setting."""
    inner = part.items() if isinstance(part, Mapping) else enumerate(part) if _is_list(part) else ()
    for key, value in inner:
        nested = isinstance(value, Mapping) or (_is_list(value) and any(isinstance(one, Mapping) for one in value))
        if nested:
            yield from _settings(f"{path}.{key}", value)
        else:
            yield f"{path}.{key}", str(key), value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _quarter(width: Any) -> Any:
    """Return a quarter of a width, or of each of some; those of images and the like stay."""
    if _is_list(width):
        return [_quarter(one) for one in width]
    return width // NARROWER if width >= 64 else width


QUERIES: dict[str, Any] = {"model.num_queries": 50, "model.encoder.num_layers": 2, "model.decoder.num_layers": 2}
RESNET: dict[str, Any] = {"model.backbone.base_channels": 16, "model.backbone.stem_channels": 16}
DENOISED: dict[str, Any] = {
    **QUERIES,
    **RESNET,
    "model.neck.in_channels": [128, 256, 512],
    "model.dn_cfg.group_cfg.num_dn_queries": 10,
}

OVERRIDES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("detr", "dab_detr"), QUERIES),
    "deformable_detr": {**QUERIES, "model.bbox_head.embed_dims": 64},
    "conditional_detr": {**QUERIES, **RESNET, "model.neck.in_channels": [512]},
    **dict.fromkeys(("dino", "ddq"), DENOISED),
    "sparse_rcnn": {"model.rpn_head.num_proposals": LIMITS["max_per_img"]},
    "faster_rcnn_c4": {"model.roi_head.shared_head.init_cfg": None},
    "cornernet": {
        "model.backbone.stage_channels": [64, 64, 96, 96, 96, 128],
        "model.backbone.feat_channel": 64,
        "model.bbox_head.in_channels": 64,
    },
    "ld": {"model.teacher_ckpt": None},
    "lad": {"model.teacher_ckpt": None},
}
"""By family, what fits it to small images, or to a machine without a network."""
