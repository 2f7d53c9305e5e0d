"""Cascade Mask R-CNN teacher, FCOS student: regions against points; they share maps and matched predictions."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import cascade_mask_rcnn, fcos

student = fcos(8)
teacher = cascade_mask_rcnn(16)
