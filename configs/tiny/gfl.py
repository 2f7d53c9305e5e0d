"""GFL, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import gfl

student = gfl(8)
teacher = gfl(16)
