"""DINO ResNet-50 (AP 49.0) to RetinaNet ResNet-50 (37.4 alone)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::retinanet/retinanet_r50_fpn_2x_coco.py")
teacher = dict(
    config="mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py",
    # https://download.openmmlab.com/mmdetection/v3.0/dino/dino-4scale_r50_8xb2-12e_coco/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth
    checkpoint="checkpoints/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth",
)
