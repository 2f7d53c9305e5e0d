"""What a pair of detectors shares: one file for each place where knowledge comes from.

A further knowledge is a further class derived from `Shared` and a line of `OFFERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..parts import AbsentError
from ..sides import Side
from ._base import Level, Pairs, Shared, Step
from .boxes import SharedBoxes, SharedBoxScore, SharedValuableBoxes, share_bins
from .heads import OfHead, SharedClassMap, SharedClassRows, share_head, share_score_field
from .maps import (
    SharedMaps,
    share_instances,
    share_maps,
    share_mask_field,
    share_masked,
    share_valuable_region,
)
from .regions import share_cross_head, share_masks, share_regions

__all__ = ["OFFERS", "Level", "Pairs", "Shared", "SharedMaps", "Step", "share_maps"]

Offer = Callable[[Side, Side], Shared]


def _by_stage(dense: Offer, regional: Offer) -> Offer:
    """Return what two dense heads share, or two second stages."""

    def share(student: Side, teacher: Side) -> Shared:
        one = ["class_map" in side.knowledge for side in (student, teacher)]
        two = [bool(side.stages) for side in (student, teacher)]
        if (one[0] and two[1]) or (two[0] and one[1]):
            kinds = ["two stages" if stages else "one stage" for stages in two]
            raise AbsentError(f"the student has {kinds[0]}, the teacher {kinds[1]}")
        return (dense if any(one) else regional)(student, teacher)

    return share


def _head(kind: type[OfHead], classes: str = "class_map", boxes: str = "box_map") -> Offer:
    return partial(share_head, kind=kind, classes=classes, boxes=boxes)


OBJECTNESS = ("objectness_map", "proposal_map")
OFFERS: dict[str, Offer] = {
    "global": share_maps,
    "foreground": partial(share_masked, foreground=True),
    "background": partial(share_masked, foreground=False),
    "instance": share_instances,
    "class_logits": _by_stage(_head(SharedClassRows), partial(share_regions, what="logits")),
    "class_map": _head(SharedClassMap),
    "boxes": _by_stage(_head(SharedBoxes), partial(share_regions, what="boxes")),
    "box_bins": share_bins,
    "box_score": _by_stage(_head(SharedBoxScore), partial(share_regions, what="score")),
    "valuable_boxes": _head(SharedValuableBoxes),
    "objectness": _head(SharedClassRows, *OBJECTNESS),
    "objectness_map": _head(SharedClassMap, *OBJECTNESS),
    "proposals": _head(SharedBoxes, *OBJECTNESS),
    "proposal_score": _head(SharedBoxScore, *OBJECTNESS),
    "mask_logits": share_masks,
    "cross_logits": partial(share_cross_head, rows=True),
    "cross_map": partial(share_cross_head, rows=False),
    "teacher_score": share_score_field,
    "foreground_mask": partial(share_mask_field, foreground=True),
    "background_mask": partial(share_mask_field, foreground=False),
    "valuable_region": share_valuable_region,
}
"""By knowledge name, what decides whether and how a pair shares it; any other name is a module's path."""
