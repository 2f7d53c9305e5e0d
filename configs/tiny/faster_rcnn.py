"""Faster R-CNN, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import faster_rcnn

student = faster_rcnn(8)
teacher = faster_rcnn(16)
