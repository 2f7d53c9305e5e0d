"""COCO for two-stage students, which mmdet trains at twice the learning rate of dense ones."""

_base_ = "coco.py"

proxy = dict(optimizer=dict(lr=0.01))
