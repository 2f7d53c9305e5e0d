"""DINO teacher, RetinaNet student: queries against anchors; they share maps and matched predictions."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import dino, retinanet

student = retinanet(8)
teacher = dino(16)
