"""RetinaNet ResNet-101 (AP 38.9) to RetinaNet ResNet-50 (37.4 alone, 40.2 with DetKDS)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::retinanet/retinanet_r50_fpn_2x_coco.py")
teacher = dict(
    config="mmdet::retinanet/retinanet_r101_fpn_2x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/retinanet/retinanet_r101_fpn_2x_coco/retinanet_r101_fpn_2x_coco_20200131-5560aee8.pth
    checkpoint="checkpoints/retinanet_r101_fpn_2x_coco_20200131-5560aee8.pth",
)
