"""VFNet ResNet-101 (AP 46.7) to VFNet ResNet-50 (41.6 alone)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::vfnet/vfnet_r50_fpn_1x_coco.py")
teacher = dict(
    config="mmdet::vfnet/vfnet_r101_fpn_ms-2x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/vfnet/vfnet_r101_fpn_mstrain_2x_coco/vfnet_r101_fpn_mstrain_2x_coco_20201027pth-4a5d53f1.pth
    checkpoint="checkpoints/vfnet_r101_fpn_mstrain_2x_coco_20201027pth-4a5d53f1.pth",
)
