"""Sources of knowledge, one file each: what hooks read, how two sides are matched, how tensors are cut by image.

A further source is a `Source` in a file of its own, and a line of `registry.SHIPPED`; outside of detkds_gp,
`register_source(...)`.
"""

from ..parts import AbsentError
from ._base import Call, Ran, Reader, Side, Source, by_region, equal_parts
from ._matching import SharedMaps, class_columns, matched, share_maps
from ._shared import Level, Outputs, Pairs, Shared, Step
from .registry import (
    cut_outputs,
    fixed_outputs,
    knowledge_names,
    output_names,
    readers_of,
    register_source,
    share,
)

__all__ = [
    "AbsentError",
    "Call",
    "Level",
    "Outputs",
    "Pairs",
    "Ran",
    "Reader",
    "Shared",
    "SharedMaps",
    "Side",
    "Source",
    "Step",
    "by_region",
    "class_columns",
    "cut_outputs",
    "equal_parts",
    "fixed_outputs",
    "knowledge_names",
    "matched",
    "output_names",
    "readers_of",
    "register_source",
    "share",
    "share_maps",
]
