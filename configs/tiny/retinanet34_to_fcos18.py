"""RetinaNet ResNet-34 teacher, FCOS ResNet-18 student: another depth, anchors against points."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import fcos, retinanet

student = fcos(8, depth=18)
teacher = retinanet(16, depth=34)
