"""An input of one's own in ten lines: any module of both detectors by its path."""

from detkds_gp.language import Map, input
from detkds_gp.primitives import OMNI


@input(Map, niche="layer3", source="backbone.layer3", latex=r"L_{3}")
def layer3() -> None:
    """Map of the backbone's third stage, (N, C, H, W)."""


OWN = OMNI.extended("OWN", layer3)
