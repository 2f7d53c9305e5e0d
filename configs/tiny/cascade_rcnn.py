"""Cascade R-CNN, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import cascade_rcnn

student = cascade_rcnn(8)
teacher = cascade_rcnn(16)
