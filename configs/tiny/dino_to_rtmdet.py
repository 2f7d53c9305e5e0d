"""DINO teacher, RTMDet student: queries against points on other backbones; they share maps and matched predictions."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import dino, rtmdet

student = rtmdet(8)
teacher = dino(16)
