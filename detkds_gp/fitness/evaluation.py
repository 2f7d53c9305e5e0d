"""COCO AP of a detector on a split."""

from __future__ import annotations

from collections.abc import Sequence

from detkds_gp.data.average_precision import AveragePrecision
from detkds_gp.detectors import BaseDetector, finds_masks, make_batch, predict
from detkds_gp.fitness.images import SplitImages

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
        detections = []
        size = MASK_BATCH_SIZE if finds_masks(detector) else BATCH_SIZE
        for start in range(0, len(self._images), size):
            items = [self._images[i] for i in range(start, min(start + size, len(self._images)))]
            detections += predict(detector, make_batch(items))
        names = self._images.split.classes
        if classes is not None and tuple(classes) != names:
            labels = [names.index(name) if name in names else -1 for name in classes]
            detections = [found.relabelled(labels) for found in detections]
        return self._average_precision(detections)
