"""DINO Swin-L (AP 58.4) to DINO ResNet-50 (49.0 alone)."""

_base_ = "_base_/query.py"

student = dict(config="mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py")
teacher = dict(
    config="mmdet::dino/dino-5scale_swin-l_8xb2-36e_coco.py",
    # https://github.com/RistoranteRist/mmlab-weights/releases/download/dino-swinl/dino-5scale_swin-l_8xb2-36e_coco-5486e051.pth
    checkpoint="checkpoints/dino-5scale_swin-l_8xb2-36e_coco-5486e051.pth",
)
