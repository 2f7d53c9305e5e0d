"""The primitive library: what formulas are made of, and the two sets that come with the engine."""

from detkds_gp.primitives.sets import DETKDS, OMNI

__all__ = ["DETKDS", "OMNI"]
