"""GFL ResNet-101 (AP 44.9 in the paper, 44.7 in mmdet) to GFL ResNet-50 (40.2 alone, 43.7 with DetKDS)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::gfl/gfl_r50_fpn_1x_coco.py")
teacher = dict(
    config="mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/gfl/gfl_r101_fpn_mstrain_2x_coco/gfl_r101_fpn_mstrain_2x_coco_20200629_200126-dd12f847.pth
    checkpoint="checkpoints/gfl_r101_fpn_mstrain_2x_coco_20200629_200126-dd12f847.pth",
)
