"""TOOD ResNet-101 (AP 46.1) to TOOD ResNet-50 (42.4 alone)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::tood/tood_r50_fpn_1x_coco.py")
teacher = dict(
    config="mmdet::tood/tood_r101_fpn_ms-2x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/tood/tood_r101_fpn_mstrain_2x_coco/tood_r101_fpn_mstrain_2x_coco_20211210_144232-a18f53c8.pth
    checkpoint="checkpoints/tood_r101_fpn_mstrain_2x_coco_20211210_144232-a18f53c8.pth",
)
