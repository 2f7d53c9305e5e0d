"""COCO AP of a detector on a split."""

from __future__ import annotations

from detkds_gp.data.average_precision import AveragePrecision
from detkds_gp.detectors import BaseDetector, make_batch, predict
from detkds_gp.fitness.images import SplitImages

BATCH_SIZE = 16


class Evaluation:
    """Scores detectors on one split.

    Args:
        images: the split.
    """

    def __init__(self, images: SplitImages) -> None:
        self._images = images
        self._average_precision = AveragePrecision(images.split)

    def __call__(self, detector: BaseDetector) -> float:
        """Return the detector's COCO AP (0.50:0.95), in [0, 1].

        Raises:
            FloatingPointError: if the detector predicts numbers that are not finite.
        """
        detections = []
        for start in range(0, len(self._images), BATCH_SIZE):
            items = [self._images[i] for i in range(start, min(start + BATCH_SIZE, len(self._images)))]
            detections += predict(detector, make_batch(items))
        return self._average_precision(detections)
