"""Cascade Mask R-CNN ResNeXt-101 (AP 47.3) to FCOS ResNet-50 (38.5 alone)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::fcos/fcos_r50-caffe_fpn_gn-head_ms-640-800-2x_coco.py")
teacher = dict(
    config="mmdet::dcn/cascade-mask-rcnn_x101-32x4d-dconv-c3-c5_fpn_1x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/dcn/cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco/cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco-e75f90c8.pth
    checkpoint="checkpoints/cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco-e75f90c8.pth",
)
