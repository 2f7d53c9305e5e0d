"""FCOS ResNet-101 (AP 40.8) to FCOS ResNet-50 (38.5 alone, 42.5 with DetKDS)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::fcos/fcos_r50-caffe_fpn_gn-head_ms-640-800-2x_coco.py")
teacher = dict(
    config="mmdet::fcos/fcos_r101-caffe_fpn_gn-head_ms-640-800-2x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/fcos/fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco/fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco-511424d6.pth
    checkpoint="checkpoints/fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco-511424d6.pth",
)
