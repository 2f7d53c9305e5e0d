"""RTMDet-l (AP 51.3) to RTMDet-tiny (40.9 alone)."""

_base_ = "_base_/rtmdet.py"

student = dict(config="mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
teacher = dict(
    config="mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py",
    # https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_l_8xb32-300e_coco/rtmdet_l_8xb32-300e_coco_20220719_112030-5a0be7c4.pth
    checkpoint="checkpoints/rtmdet_l_8xb32-300e_coco_20220719_112030-5a0be7c4.pth",
)
