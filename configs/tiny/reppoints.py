"""RepPoints, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import reppoints

student = reppoints(8)
teacher = reppoints(16)
