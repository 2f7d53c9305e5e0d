"""DINO ResNet-50 (AP 49.0) to DETR ResNet-50 (39.9 alone)."""

_base_ = "_base_/query.py"

student = dict(config="mmdet::detr/detr_r50_8xb2-150e_coco.py")
teacher = dict(
    config="mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py",
    # https://download.openmmlab.com/mmdetection/v3.0/dino/dino-4scale_r50_8xb2-12e_coco/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth
    checkpoint="checkpoints/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth",
)
