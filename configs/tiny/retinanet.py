"""RetinaNet, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import retinanet

student = retinanet(8)
teacher = retinanet(16)
