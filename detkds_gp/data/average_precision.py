"""COCO average precision of detections on a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval import mask as coco_mask

from detkds_gp.data.objects import check_segmentations
from detkds_gp.data.split import CocoSplit
from detkds_gp.detections import Detections

IOU_TYPES = ("bbox", "segm")
MAX_DETECTIONS = 100  # an image and class, as in the COCO protocol
AREAS = {"all": (0, 1e5**2), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e5**2)}
"""Areas of objects in square pixels, as in the COCO protocol."""
IOU_50, IOU_75 = 0, 5  # places among the ten thresholds


@dataclass(frozen=True)
class Metrics:
    """What the COCO protocol says of detections, each in [0, 1]; None where there are no such objects.

    Attributes:
        ap: averaged over IoU 0.50:0.95 and over classes, as `AveragePrecision` gives it.
        parts: ``ap50`` and ``ap75`` at one IoU; ``small``, ``medium`` and ``large`` of objects of that size.
        classes: AP of each class, in the order of labels.
    """

    ap: float
    parts: dict[str, float | None]
    classes: tuple[float | None, ...]


class AveragePrecision:
    """Scores detections on one split; the ground truth is indexed once.

    Args:
        split: the ground truth; crowds and degenerate boxes count as in pycocotools.
        iou_type: what is compared: boxes (``bbox``) or masks (``segm``).

    Raises:
        ValueError: another ``iou_type``.
        DataError: masks are compared, and an object, be it a crowd, has none.
    """

    def __init__(self, split: CocoSplit, iou_type: str = "bbox") -> None:
        if iou_type not in IOU_TYPES:
            raise ValueError(f"got iou_type {iou_type!r}, wanted {' or '.join(map(repr, IOU_TYPES))}")
        if iou_type == "segm":
            check_segmentations(split, "compare boxes ('bbox')", learned_only=False)
        self._iou_type = iou_type
        self._class_count = len(split.classes)
        self._images = [
            {"id": number, "width": record.width, "height": record.height} for number, record in enumerate(split.images)
        ]
        rows = [
            _row(number, a.label, int(a.crowd), a.area, bbox=list(a.bbox), segmentation=a.segmentation)
            for number, record in enumerate(split.images)
            for a in record.annotations
        ]
        self._truth = self._index(rows)

    def __call__(self, detections: Sequence[Detections]) -> float:
        """Return COCO AP in [0, 1], averaged over IoU 0.50:0.95 and over classes.

        Objects of all areas count, and the 100 best detections of an image and class.

        Args:
            detections: for each image of the split, in its order; nothing detected anywhere is an AP of 0.

        Raises:
            ValueError: not one entry an image, parts of unequal length, a label that is no class, no masks where
                they are compared.
            FloatingPointError: a box or score is not finite.
        """
        return _mean(self._precision(detections, ("all",))) or 0.0

    def metrics(self, detections: Sequence[Detections]) -> Metrics:
        """Return AP with its parts; takes and raises as the call does, and takes longer."""
        precision = self._precision(detections, tuple(AREAS))
        all_areas = np.ascontiguousarray(precision[..., :1])  # summed in the order of the call
        parts = {"ap50": _mean(all_areas[IOU_50]), "ap75": _mean(all_areas[IOU_75])}
        parts |= {size: _mean(precision[..., place]) for place, size in enumerate(AREAS) if size != "all"}
        classes = tuple(_mean(all_areas[:, :, label]) for label in range(self._class_count))
        return Metrics(_mean(all_areas) or 0.0, parts, classes)

    def _precision(self, detections: Sequence[Detections], areas: tuple[str, ...]) -> np.ndarray:
        """Return precision by IoU, recall, class and area, (10, 101, K, A); -1 without ground truth."""
        if len(detections) != len(self._images):
            raise ValueError(f"got detections of {len(detections)} images, wanted {len(self._images)}")
        rows = [row for number, part in enumerate(detections) for row in self._rows(number, part)]
        if not rows:
            return self._nothing_found(areas)
        evaluation = COCOeval_faster(self._truth, self._index(rows), self._iou_type, print_function=_say_nothing)
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [list(AREAS[name]) for name in areas], list(areas)
        evaluation.evaluate()
        evaluation.accumulate()
        return evaluation.eval["precision"][..., 0]

    def _nothing_found(self, areas: tuple[str, ...]) -> np.ndarray:
        """Return precision where nothing is detected: 0 wherever there is an object."""
        precision = np.full((10, 101, self._class_count, len(areas)), -1.0)
        for row in self._truth.dataset["annotations"]:
            for place, (low, high) in enumerate(AREAS[name] for name in areas):
                if not row["iscrowd"] and low <= row["area"] <= high:
                    precision[:, :, row["category_id"], place] = 0.0
        return precision

    def _index(self, rows: list[dict[str, Any]]) -> COCO:
        for number, row in enumerate(rows, start=1):  # an id of 0 would read as "unmatched"
            row["id"] = number
        categories = [{"id": label} for label in range(self._class_count)]
        content = {"images": self._images, "categories": categories, "annotations": rows}
        return COCO(content, print_function=_say_nothing)

    def _rows(self, number: int, found: Detections) -> list[dict[str, Any]]:
        boxes = np.asarray(found.boxes).reshape(-1, 4).astype(np.float64)
        scores, labels = np.asarray(found.scores), np.asarray(found.labels)
        counts = len(boxes), len(scores), len(labels)
        if len(set(counts)) > 1:
            raise ValueError(f"got {counts} boxes, scores and labels of one image, wanted as many")
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise FloatingPointError("a detected box or score is not finite")
        if len(labels) and not 0 <= labels.min() <= labels.max() < self._class_count:
            raise ValueError(f"got labels {labels.min()} to {labels.max()}, wanted 0 to {self._class_count - 1}")
        if self._iou_type == "bbox":
            sides = boxes[:, 2:] - boxes[:, :2]
            key, shapes, areas = "bbox", np.hstack([boxes[:, :2], sides]).tolist(), sides.prod(axis=1).tolist()
        else:
            key, shapes = "segmentation", list(found.masks or ())
            if found.masks is None or len(shapes) != len(boxes):
                got = "no" if found.masks is None else len(shapes)
                raise ValueError(f"got {got} masks of {len(boxes)} boxes, wanted as many to compare masks")
            areas = coco_mask.area(shapes).tolist() if shapes else []
        columns = zip(labels.tolist(), scores.tolist(), shapes, areas, strict=True)
        return [_row(number, label, 0, area, score=score, **{key: shape}) for label, score, shape, area in columns]


def _row(image: int, label: int, crowd: int, area: float, **rest: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": label, "iscrowd": crowd, "area": area, **rest}


def _mean(precision: np.ndarray) -> float | None:
    """Return the mean where there is ground truth; None where there is none."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _say_nothing(*_: object) -> None:
    """Take the place of the evaluator's prints."""
