"""A set with an input whose module is misspelt."""

from detkds_gp.language import Map, PrimitiveSet, input
from detkds_gp.primitives import OMNI


@input(Map, niche="lateral", source="neck.fpn_conv.0", latex="P")
def lateral() -> None:
    """Output of the neck's first convolution."""


OWN = PrimitiveSet("OWN", [*OMNI.declarations.values(), lateral])
