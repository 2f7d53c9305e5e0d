"""Mask R-CNN, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import mask_rcnn

student = mask_rcnn(8)
teacher = mask_rcnn(16)
proxy = dict(metric="segm")
