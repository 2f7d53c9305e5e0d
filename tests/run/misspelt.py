"""Sets with an input whose module is misspelt, or whose kind is not what its module gives."""

from detkds_gp.language import Map, PrimitiveSet, Rows, input
from detkds_gp.primitives import OMNI


@input(Map, niche="lateral", source="neck.fpn_conv.0", latex="P")
def lateral() -> None:
    """Output of the neck's first convolution."""


@input(Rows, niche="stage", source="backbone.layer3", latex="S")
def stage() -> None:
    """Map of the third stage, declared as rows."""


OWN = PrimitiveSet("OWN", [*OMNI.declarations.values(), lateral])
ROWS = PrimitiveSet("ROWS", [*OMNI.declarations.values(), stage])
