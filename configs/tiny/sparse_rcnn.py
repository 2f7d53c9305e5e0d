"""Sparse R-CNN, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import sparse_rcnn

student = sparse_rcnn(8)
teacher = sparse_rcnn(16)
