"""Cascade Mask R-CNN ResNeXt-101 (AP 47.3) to Faster R-CNN ResNet-50 (38.4 alone, 42.5 with DetKDS)."""

_base_ = "_base_/two_stage.py"

student = dict(config="mmdet::faster_rcnn/faster-rcnn_r50_fpn_2x_coco.py")
teacher = dict(
    config="mmdet::dcn/cascade-mask-rcnn_x101-32x4d-dconv-c3-c5_fpn_1x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/dcn/cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco/cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco-e75f90c8.pth
    checkpoint="checkpoints/cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco-e75f90c8.pth",
)
