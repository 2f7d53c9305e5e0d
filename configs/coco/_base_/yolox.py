"""COCO for YOLOX, which mmdet trains with Nesterov's momentum at 0.01 for 64 images."""

_base_ = "coco.py"

proxy = dict(optimizer=dict(lr=0.00125, weight_decay=5e-4, nesterov=True))
