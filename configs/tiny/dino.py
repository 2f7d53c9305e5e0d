"""DINO, narrow student and wider teacher: denoising queries, two decoder layers."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import dino

student = dino(8)
teacher = dino(32)
