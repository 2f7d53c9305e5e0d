"""Faster R-CNN ResNet-101 (AP 39.8) to Faster R-CNN ResNet-50 (38.4 alone, 41.0 with DetKDS)."""

_base_ = "_base_/two_stage.py"

student = dict(config="mmdet::faster_rcnn/faster-rcnn_r50_fpn_2x_coco.py")
teacher = dict(
    config="mmdet::faster_rcnn/faster-rcnn_r101_fpn_2x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn/faster_rcnn_r101_fpn_2x_coco/faster_rcnn_r101_fpn_2x_coco_bbox_mAP-0.398_20200504_210455-1d2dac9c.pth
    checkpoint="checkpoints/faster_rcnn_r101_fpn_2x_coco_bbox_mAP-0.398_20200504_210455-1d2dac9c.pth",
)
