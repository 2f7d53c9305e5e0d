"""RepPoints ResNeXt-101 (AP 44.2) to RepPoints ResNet-50 (38.6 alone, 42.3 with DetKDS)."""

_base_ = "_base_/coco.py"

student = dict(config="mmdet::reppoints/reppoints-moment_r50_fpn-gn_head-gn_2x_coco.py")
teacher = dict(
    config="mmdet::reppoints/reppoints-moment_x101-dconv-c3-c5_fpn-gn_head-gn_2x_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/reppoints/reppoints_moment_x101_fpn_dconv_c3-c5_gn-neck%2Bhead_2x_coco/reppoints_moment_x101_fpn_dconv_c3-c5_gn-neck%2Bhead_2x_coco_20200329-f87da1ea.pth
    checkpoint="checkpoints/reppoints_moment_x101_fpn_dconv_c3-c5_gn-neck+head_2x_coco_20200329-f87da1ea.pth",
)
