"""ATSS, narrow student and wider teacher."""

_base_ = "_base_/digits.py"

from detkds_gp.configs.tiny._base_.narrow import atss

student = atss(8)
teacher = atss(16)
