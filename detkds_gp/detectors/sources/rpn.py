"""The region proposal network of a two-stage detector: objectness and the boxes of its proposals.

Outputs: ``objectness_map`` (N, A, H, W) and ``proposal_map`` (N, 4 A, H, W), see `box_maps`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

from ..parts import rpn_head
from ._base import Call, Reader, Source
from ._heads import SharedBoxes, SharedBoxScore, SharedClassMap, SharedClassRows, of_heads
from ._shared import Outputs
from .box_maps import check_boxes, read_box_maps
from .head_maps import read_class_maps


def _modules(detector: BaseDetector) -> list[nn.Module]:
    return [rpn_head(detector)]


def _read_objectness(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    return {"objectness_map": read_class_maps(rpn_head(detector), calls[0][0].output)}


def _read_proposals(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
    return {"proposal_map": read_box_maps(rpn_head(detector), calls[0][0].output, calls[0][0].training)}


def _check_proposals(detector: BaseDetector, maps: Sequence[Tensor], size: tuple[int, int]) -> None:
    check_boxes(rpn_head(detector), maps, size)


HEAD = "objectness_map", "proposal_map"
SOURCE = Source(
    "region proposal network",
    (
        Reader(("objectness_map",), _modules, _read_objectness, head=rpn_head),
        Reader(("proposal_map",), _modules, _read_proposals, head=rpn_head, check=_check_proposals),
    ),
    {
        "objectness": of_heads(SharedClassRows, *HEAD),
        "objectness_map": of_heads(SharedClassMap, *HEAD),
        "proposals": of_heads(SharedBoxes, *HEAD),
        "proposal_score": of_heads(SharedBoxScore, *HEAD),
    },
)
