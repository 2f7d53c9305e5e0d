"""COCO AP of a detector on a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detkds_gp.data.average_precision import AveragePrecision
from detkds_gp.data.split import CocoSplit
from detkds_gp.detections import Detections
from detkds_gp.detectors import BaseDetector, finds_masks, make_batch, predict
from detkds_gp.fitness.images import SplitImages
from detkds_gp.score import Details
from detkds_gp.training import SHOWN, evenly

BATCH_SIZE = 16
MASK_BATCH_SIZE = 4  # masks are predicted at the images' original size, up to 100 an image


class Evaluation:
    """Scores detectors on one split.

    Args:
        images: the split.
        metric: what is compared with the ground truth: ``bbox`` or ``segm``.

    Raises:
        DataError: ``segm``, and an object of the split has no usable segmentation.
    """

    def __init__(self, images: SplitImages, metric: str = "bbox") -> None:
        self._images = images
        self._average_precision = AveragePrecision(images.split, metric)

    def __call__(self, detector: BaseDetector, classes: Sequence[str] | None = None) -> float:
        """Return the detector's COCO AP (0.50:0.95), in [0, 1].

        Args:
            detector: what is scored.
            classes: its class names, where they are not the split's; objects of other classes are passed over.

        Raises:
            FloatingPointError: if the detector predicts numbers that are not finite.
            ValueError: if masks are compared and the detector finds none.
        """
        return self._average_precision(self.found(detector, classes))

    def details(self, detector: BaseDetector, classes: Sequence[str] | None = None) -> tuple[float, Details]:
        """Return the AP that the call returns, and what else there is to say of the detections.

        Takes and raises as the call does.
        """
        detections, split = self.found(detector, classes), self._images.split
        metrics = self._average_precision.metrics(detections)
        by_class = dict(zip(split.classes, metrics.classes, strict=True))
        found = tuple(_most_confident(detections[i], len(split.images[i].boxes)) for i in shown(split))
        return metrics.ap, Details(metrics.parts, by_class, found=found)

    def found(self, detector: BaseDetector, classes: Sequence[str] | None = None) -> list[Detections]:
        """Return what a detector finds on each image; takes and raises as the call does."""
        detections: list[Detections] = []
        size = MASK_BATCH_SIZE if finds_masks(detector) else BATCH_SIZE
        for start in range(0, len(self._images), size):
            items = [self._images[i] for i in range(start, min(start + size, len(self._images)))]
            detections += predict(detector, make_batch(items))
        names = self._images.split.classes
        if classes is not None and tuple(classes) != names:
            labels = [names.index(name) if name in names else -1 for name in classes]
            detections = [found.relabelled(labels) for found in detections]
        return detections


def shown(split: CocoSplit, count: int = SHOWN) -> Sequence[int]:
    """Return the places of a few images with objects, spread evenly over a split."""
    return evenly([place for place, record in enumerate(split.images) if len(record.boxes)], count)


def _most_confident(found: Detections, most: int) -> tuple[tuple[float, ...], ...]:
    best = np.argsort(-found.scores, kind="stable")[:most]
    rows = zip(found.boxes[best].tolist(), found.scores[best].tolist(), found.labels[best].tolist(), strict=True)
    return tuple((*(round(x, 1) for x in box), round(score, 3), label) for box, score, label in rows)
