"""Cascade Mask R-CNN teacher, Faster R-CNN student: three heads against one, masks against none."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import cascade_mask_rcnn, faster_rcnn

student = faster_rcnn(8)
teacher = cascade_mask_rcnn(16)
