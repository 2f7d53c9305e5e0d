"""Faster R-CNN teacher, FCOS student: regions against points; they share maps and matched predictions."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import faster_rcnn, fcos

student = fcos(8)
teacher = faster_rcnn(16)
