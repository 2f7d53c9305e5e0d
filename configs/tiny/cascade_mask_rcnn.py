"""Cascade Mask R-CNN, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import cascade_mask_rcnn

student = cascade_mask_rcnn(8)
teacher = cascade_mask_rcnn(16)
proxy = dict(metric="segm")
