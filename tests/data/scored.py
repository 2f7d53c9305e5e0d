"""Detections scored by everyone who scores them in this project or beside it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detkds_gp.data.average_precision import AveragePrecision
from detkds_gp.data.split import CocoSplit, write_normal
from detkds_gp.detections import Detections


def noisy(split: CocoSplit, seed: int) -> list[Detections]:
    """Return the objects to learn, jittered, some with another class, among boxes that are nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for record in split.images:
        truth = record.boxes + rng.normal(0, 1, record.boxes.shape)
        start = rng.uniform(0, 0.8 * record.width, (rng.integers(0, 6), 2))
        boxes = np.vstack([truth, np.hstack([start, start + rng.uniform(1, 30, start.shape)])]).astype(np.float32)
        labels = np.concatenate([record.labels, rng.integers(0, len(split.classes), len(start))])
        wrong = rng.random(len(labels)) < 0.1
        labels[wrong] = rng.integers(0, len(split.classes), wrong.sum())
        scores = rng.random(len(boxes)).round(1).astype(np.float32)
        scores[: len(truth)] += 0.3
        found.append(Detections(boxes, scores, labels))
    return found


def columns(found: Detections) -> tuple[list[list[float]], list[list[float]], list[float], list[int]]:
    """Return first corners, sizes, scores and labels."""
    sizes = found.boxes[:, 2:] - found.boxes[:, :2]
    return found.boxes[:, :2].tolist(), sizes.tolist(), found.scores.tolist(), found.labels.tolist()


def by_pycocotools(path: Path, split: CocoSplit, detections: Sequence[Detections]) -> float:
    """Score with pycocotools on the normal file."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        category = {row["name"]: row["id"] for row in truth.dataset["categories"]}
        rows = [
            {"image_id": record.id, "category_id": category[split.classes[label]], "bbox": [*xy, *wh], "score": score}
            for record, one in zip(split.images, detections, strict=True)
            for xy, wh, score, label in zip(*columns(one), strict=True)
        ]  # fmt: skip
        if not rows:
            return 0.0
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def by_mmdet(path: Path, split: CocoSplit, detections: Sequence[Detections]) -> float:
    """Score with the metric that full training asks, on the normal file; it rounds to three digits."""
    import torch
    from mmdet.evaluation import CocoMetric

    metric = CocoMetric(ann_file=str(path), metric="bbox")
    metric.dataset_meta = {"classes": split.classes}
    for record, one in zip(split.images, detections, strict=True):
        parts = {"bboxes": one.boxes, "scores": one.scores, "labels": one.labels}
        parts = {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in parts.items()}
        sample = {"img_id": record.id, "ori_shape": (record.height, record.width), "pred_instances": parts}
        metric.process({}, [sample])
    with contextlib.redirect_stdout(io.StringIO()):
        return float(metric.evaluate(len(split.images)).get("coco/bbox_mAP", 0.0))


def scores(split: CocoSplit, folder: Path, seed: int) -> tuple[float, float, float]:
    """Score the same noisy detections by our AP, by pycocotools and by mmdet, the last two on the normal file."""
    path, detections = write_normal(split, folder), noisy(split, seed)
    ours = AveragePrecision(split)(detections)
    return ours, by_pycocotools(path, split, detections), by_mmdet(path, split, detections)
