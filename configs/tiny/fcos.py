"""FCOS, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import fcos

student = fcos(8)
teacher = fcos(16)
