"""What a detector found on an image: what prediction gives and average precision takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects found on one image, in pixels of the original image.

    Attributes:
        boxes: (D, 4) xyxy; D may be 0.
        scores: (D,) in [0, 1].
        labels: (D,) class indices.
        masks: D masks as COCO RLE, ``{"size": [height, width], "counts": str}`` of the whole image; None of a
            detector without a mask head.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: tuple[dict[str, Any], ...] | None = None

    def relabelled(self, labels: Sequence[int]) -> Detections:
        """Return the detections with other labels.

        Args:
            labels: for each label its new one, below 0 where its detections are dropped.
        """
        new = np.asarray(labels, dtype=np.int64)[self.labels] if len(self.labels) else self.labels
        kept = new >= 0
        masks = None if self.masks is None else tuple(m for m, keep in zip(self.masks, kept, strict=True) if keep)
        return Detections(self.boxes[kept], self.scores[kept], new[kept], masks)
