"""Candidates of a detector: all that its head predicts on each image, whatever kind of head it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..parts import AbsentError
from ._base import Reader, Side
from ._heads import class_rows
from ._shared import Outputs
from .box_maps import box_rows
from .dense_head import BOXES, CLASSES
from .query_head import SOURCE as QUERIES
from .query_head import in_pixels
from .roi_head import SOURCE as REGIONS

READERS: dict[str, tuple[Reader, ...]] = {
    "queries": QUERIES.readers,
    "regions": REGIONS.readers,
    "locations": (CLASSES, BOXES),
}
"""By what a head predicts for, the readers of its class logits and boxes; all of them read the same modules."""

Candidates = tuple[Tensor, Tensor]
"""Of one image: logits (T, K), or (T, K + 1) of a softmax, and boxes (T, 1 or K, 4), one for all or one a class."""


@dataclass(frozen=True)
class Head:
    """How candidates follow from a detector's outputs.

    Attributes:
        kind: of READERS.
        softmax: whether the last column of its logits is the background's.
        levels: of a dense head, the exact stride and the number of anchors of a location.
        objects: of a dense head, whether its class probabilities are multiplied by an objectness, as YOLOX's, which
            alone knows the background.
    """

    kind: str
    softmax: bool
    levels: tuple[tuple[float, int], ...] = ()
    objects: bool = False

    @classmethod
    def of_outputs(cls, outputs: Outputs, classes: int | None, levels: Sequence[tuple[float, int]]) -> Head:
        """Return the head whose outputs these are; raises AbsentError if they hold no class logits with boxes."""
        for kind, readers in READERS.items():
            logits = outputs.get("class_map" if kind == "locations" else readers[0].outputs[-2])
            if logits and all(outputs.get(name) for reader in readers for name in reader.outputs):
                anchors = levels[0][1] if kind == "locations" else 1
                softmax = logits[0].shape[1] // anchors == (classes or 0) + 1
                return cls(kind, softmax, tuple(levels), kind == "locations" and bool(outputs.get("object_map")))
        raise AbsentError("detector predicts no class logits with boxes")

    @classmethod
    def of_side(cls, side: Side) -> Head:
        """Return the head of one detector of a pair; raises AbsentError as `of_outputs`."""
        strides, anchors = side.prior_strides.get("class_map", ()), map(len, side.anchors.get("class_map", ()))
        try:
            return cls.of_outputs(side.outputs, side.num_classes, list(zip(strides, anchors, strict=True)))
        except AbsentError as reason:
            raise AbsentError(f"{side.who}'s {reason}") from None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that candidates are made of."""
        objects = ("object_map",) if self.objects else ()
        return (*(name for reader in READERS[self.kind] for name in reader.outputs), *objects)

    def candidates(self, outputs: Outputs, sizes: Sequence[tuple[int, int]] | int) -> list[Candidates]:
        """Return the candidates of every image; of decoder layers and stages those of the last.

        The sizes are the (height, width) of every image without its padding; where only the number of images is given,
        boxes of queries stay in parts of their image.
        """
        count = sizes if isinstance(sizes, int) else len(sizes)
        if self.kind == "locations":
            return self._of_locations(outputs, count)
        if self.kind == "queries":
            logits, boxes = (outputs[name][-1].unflatten(0, (count, -1)) for name in ("query_logits", "query_boxes"))
            boxes = boxes if isinstance(sizes, int) else in_pixels(boxes, sizes)
            return list(zip(logits, boxes[:, :, None], strict=True))
        owner, logits, boxes = outputs["rois"][-1][:, 0], outputs["roi_logits"][-1], outputs["roi_boxes"][-1]
        return [(logits[owner == image], boxes[owner == image]) for image in range(count)]

    def _of_locations(self, outputs: Outputs, count: int) -> list[Candidates]:
        def rows(name: str) -> Tensor:
            maps = zip(outputs[name], self.levels, strict=True)
            return torch.cat([class_rows(m.unflatten(1, (n, -1))).unflatten(0, (count, -1)) for m, (_, n) in maps], 1)

        logits = joint(rows("class_map"), rows("object_map")) if self.objects else rows("class_map")
        maps = zip(outputs["box_map"], self.levels, strict=True)
        boxes = [box_rows(box_map, stride).unflatten(0, (count, -1)) for box_map, (stride, _) in maps]
        return list(zip(logits, torch.cat(boxes, dim=1)[:, :, None], strict=True))


def joint(logits: Tensor, others: Tensor) -> Tensor:
    """Return the logits of the products of two sigmoids; the tensors broadcast.

    >>> joint(torch.tensor([0.0]), torch.tensor([0.0])).sigmoid()
    tensor([0.2500])
    """
    one, other = torch.broadcast_tensors(-logits, -others)  # 1 / p = (1 + e^-a) (1 + e^-b)
    return -torch.stack([one, other, one + other]).logsumexp(dim=0)
