"""YOLOX-l (AP 49.4) to YOLOX-tiny (32.0 alone)."""

_base_ = "_base_/yolox.py"

student = dict(
    config="mmdet::yolox/yolox_tiny_8xb8-300e_coco.py",
    overrides={"model.data_preprocessor.batch_augments": None},
)
teacher = dict(
    config="mmdet::yolox/yolox_l_8xb8-300e_coco.py",
    # https://download.openmmlab.com/mmdetection/v2.0/yolox/yolox_l_8x8_300e_coco/yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth
    checkpoint="checkpoints/yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth",
)
