"""RTMDet, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import rtmdet

student = rtmdet(8)
teacher = rtmdet(16)
