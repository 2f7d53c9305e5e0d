"""The region proposal network of a two-stage detector: objectness and the boxes of its proposals.

Outputs: ``objectness_map`` (N, A, H, W) and ``proposal_map`` (N, 4 A, H, W), see `box_maps`.
"""

from __future__ import annotations

from ..parts import rpn_head
from ._base import Source
from ._heads import box_reader, head_reader, of_heads
from .dense_head import read_class_maps

OBJECTNESS, PROPOSALS = "objectness_map", "proposal_map"
SOURCE = Source(
    "region proposal network",
    (head_reader(rpn_head, OBJECTNESS, read_class_maps), box_reader(rpn_head, PROPOSALS)),
    of_heads(
        OBJECTNESS, PROPOSALS, objectness="logits", objectness_map="map", proposals="boxes", proposal_score="score"
    ),
)
