"""DETR, narrow student and wider teacher: queries on one level, a softmax."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import detr

student = detr(8)
teacher = detr(16)
