from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detkds_gp.data.average_precision import AveragePrecision, average_precision
from detkds_gp.data.coco import CocoSplit, load_split
from detkds_gp.detections import Detections

CLASSES = ("a", "b", "c")
NOTHING = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


def _scenes(folder: Path, seed: int, count: int = 12) -> tuple[CocoSplit, dict[str, Any]]:
    """Write random ground truth with crowds, odd ids and images without objects."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    cv2.imwrite(str(folder / "x.png"), np.zeros((100, 120, 3), np.uint8))
    for number in range(count):
        image = {"id": 900 - 7 * number, "file_name": "x.png", "width": 120, "height": 100}
        images.append(image)
        for _ in range(rng.integers(0, 9)):
            box = [*rng.uniform(0, 80, 2), *rng.uniform(0.5, 60, 2)]
            annotations.append({
                "id": 50 + len(annotations), "image_id": image["id"], "bbox": box,
                "category_id": int(rng.choice([30, 10, 20])), "area": box[2] * box[3],
                "iscrowd": int(rng.random() < 0.1), "ignore": int(rng.random() < 0.1),
            })  # fmt: skip
    categories = [{"id": i, "name": n} for i, n in zip((30, 10, 20), CLASSES, strict=True)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "ann.json").write_text(json.dumps(coco))
    return load_split(folder / "ann.json", folder), coco


def _detections(split: CocoSplit, seed: int, most: int = 40) -> list[Detections]:
    """Jitter the ground truth, add clutter, round scores so that ties occur."""
    rng = np.random.default_rng(seed)
    found = []
    for record in split.images:
        truth = record.boxes + rng.normal(0, 2, record.boxes.shape)
        start = rng.uniform(0, 90, (rng.integers(0, most), 2))
        boxes = np.vstack([truth, np.hstack([start, start + rng.uniform(1, 50, start.shape)])])
        labels = np.concatenate([record.labels, rng.integers(0, 3, len(start))])
        scores = rng.random(len(boxes)).round(1).astype(np.float32)
        scores[: len(truth)] += 0.4
        found.append(Detections(boxes.astype(np.float32), scores, labels))
    return found


def _reference(split: CocoSplit, coco: dict[str, Any], detections: list[Detections]) -> float:
    """Score with pycocotools and the file's own ids."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    category = {row["name"]: row["id"] for row in coco["categories"]}
    rows = [
        {
            "image_id": record.id,
            "category_id": category[split.classes[label]],
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "score": score,
        }
        for record, found in zip(split.images, detections, strict=True)
        for box, score, label in zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(coco))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.parametrize("seed", range(6))
def test_equals_pycocotools_on_random_scenes(tmp_path, seed):
    split, coco = _scenes(tmp_path, seed)
    detections = _detections(split, seed + 100, most=(40, 700)[seed % 2])
    ap = average_precision(split, detections)
    assert 0.05 < ap < 0.9
    assert ap == pytest.approx(_reference(split, coco, detections), abs=1e-12)


def test_one_index_serves_many_calls(tmp_path, capfd):
    split, coco = _scenes(tmp_path, 3)
    score = AveragePrecision(split)
    rounds = [_detections(split, seed) for seed in (1, 2, 1)]
    first, second, again = map(score, rounds)
    assert first == again
    assert first != second
    assert second == pytest.approx(_reference(split, coco, rounds[1]), abs=1e-12)
    capfd.readouterr()
    score(rounds[0])
    assert capfd.readouterr() == ("", "")


def test_perfect_and_empty_detections(digits):
    split = load_split(digits / "test.json", digits / "images")
    perfect = [Detections(r.boxes, np.ones(len(r.boxes)), r.labels) for r in split.images]
    nothing = [NOTHING for _ in split.images]
    assert average_precision(split, perfect) == 1.0
    assert average_precision(split, nothing) == 0.0
    wrong = [replace(found, labels=(found.labels + 1) % 10) for found in perfect]
    assert average_precision(split, wrong) < 0.1


def test_what_is_no_detection_is_refused(digits):
    split = load_split(digits / "test.json", digits / "images")
    score = AveragePrecision(split)
    rest = [NOTHING] * (len(split.images) - 1)
    box, one = np.float32([[0, 0, 9, 9]]), np.ones(1)
    with pytest.raises(ValueError, match="wanted 8"):
        score(rest)
    with pytest.raises(ValueError, match="labels 10 to 10, wanted 0 to 9"):
        score([Detections(box, one, np.array([10])), *rest])
    with pytest.raises(ValueError, match=r"\(1, 2, 1\) boxes, scores"):
        score([Detections(box, np.ones(2), np.array([1])), *rest])
    with pytest.raises(FloatingPointError):
        score([Detections(box * np.nan, one, np.array([1])), *rest])
    with pytest.raises(ValueError, match="wanted 'bbox'"):
        AveragePrecision(split, "keypoints")
