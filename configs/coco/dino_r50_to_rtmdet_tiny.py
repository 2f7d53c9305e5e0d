"""DINO ResNet-50 (AP 49.0) to RTMDet-tiny (40.9 alone)."""

_base_ = "_base_/rtmdet.py"

student = dict(config="mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
teacher = dict(
    config="mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py",
    # https://download.openmmlab.com/mmdetection/v3.0/dino/dino-4scale_r50_8xb2-12e_coco/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth
    checkpoint="checkpoints/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth",
)
