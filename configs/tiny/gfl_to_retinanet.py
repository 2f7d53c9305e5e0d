"""GFL teacher, RetinaNet student: one anchor a location against four, boxes as distributions against deltas."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import gfl, retinanet

student = retinanet(8)
teacher = gfl(16)
