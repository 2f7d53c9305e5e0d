"""TOOD, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import tood

student = tood(8)
teacher = tood(16)
