"""VFNet, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import vfnet

student = vfnet(8)
teacher = vfnet(16)
