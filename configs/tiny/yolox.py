"""YOLOX, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import yolox

student = yolox(8)
teacher = yolox(16)
