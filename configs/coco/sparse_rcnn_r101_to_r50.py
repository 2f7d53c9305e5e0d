"""Sparse R-CNN ResNet-101 (AP 44.2) to Sparse R-CNN ResNet-50 (37.9 alone)."""

_base_ = "_base_/query.py"

student = dict(config="mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py")
teacher = dict(
    config="mmdet::sparse_rcnn/sparse-rcnn_r101_fpn_ms-480-800-3x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/sparse_rcnn/sparse_rcnn_r101_fpn_mstrain_480-800_3x_coco/sparse_rcnn_r101_fpn_mstrain_480-800_3x_coco_20201223_121552-6c46c9d6.pth
    checkpoint="checkpoints/sparse_rcnn_r101_fpn_mstrain_480-800_3x_coco_20201223_121552-6c46c9d6.pth",
)
