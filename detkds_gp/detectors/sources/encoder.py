"""The encoder of a DETR-like detector: its memory as maps, a level for each map of the neck that it takes.

Output: ``memory``, (N, C, H, W) of every level.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from mmdet.models.detectors.base import BaseDetector
from torch import nn

from ..parts import AbsentError, pyramid
from ._base import Call, Reader, Source, tensors_in
from ._matching import share_maps
from ._shared import Outputs
from .query_head import query_head, run_queries


def _modules(detector: BaseDetector) -> list[nn.Module]:
    if not isinstance(getattr(detector, "encoder", None), nn.Module):
        raise AbsentError(f"{type(detector).__name__} has no transformer encoder")
    query_head(detector)
    return [detector.encoder, pyramid(detector)]


def _read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    memory, maps = calls[0][0].output, tensors_in(calls[1][0].output)
    grids = [tuple(x.shape[2:]) for x in maps]
    if sum(map(prod, grids)) != memory.shape[1]:
        grids = grids[-1:]  # a DETR takes the last
    levels = memory.float().split([prod(grid) for grid in grids], dim=1)
    return {"memory": [x.transpose(1, 2).unflatten(2, grid) for x, grid in zip(levels, grids, strict=True)]}


SOURCE = Source(
    "encoder",
    (Reader(("memory",), _modules, _read, rest=lambda detector: run_queries),),
    {"memory": partial(share_maps, name="memory")},
)
