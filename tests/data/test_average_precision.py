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

from detkds_gp.data.average_precision import AveragePrecision
from detkds_gp.data.coco import load_split
from detkds_gp.data.split import CocoSplit
from detkds_gp.detections import Detections
from detkds_gp.errors import DataError

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


def _reference(split: CocoSplit, coco: dict[str, Any], detections: list[Detections], iou_type: str = "bbox") -> float:
    """Score with pycocotools and the file's own ids."""
    return float(_evaluated(split, coco, detections, iou_type).stats[0])


def _evaluated(split: CocoSplit, coco: dict[str, Any], detections: list[Detections], iou_type: str = "bbox") -> Any:
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
    if iou_type == "segm":
        masks = [mask for found in detections for mask in found.masks or ()]
        for row, mask in zip(rows, masks, strict=True):
            del row["bbox"]
            row["segmentation"] = mask
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(coco))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_equal_pycocotools(tmp_path: Path, seed: int) -> None:
    split, coco = _scenes(tmp_path, seed)
    detections = _detections(split, seed + 100)
    told, wanted = AveragePrecision(split).metrics(detections), _evaluated(split, coco, detections)
    assert told.ap == AveragePrecision(split)(detections)  # to the last digit
    parts = [told.parts[name] for name in ("ap50", "ap75", "small", "medium", "large")]
    assert [-1.0 if part is None else part for part in parts] == pytest.approx(list(wanted.stats[1:6]), abs=1e-12)
    places = {row["id"]: place for place, row in enumerate(sorted(coco["categories"], key=lambda row: row["id"]))}
    by_class = {row["name"]: wanted.eval["precision"][:, :, places[row["id"]], 0, 2] for row in coco["categories"]}
    means = [by_class[name][by_class[name] > -1].mean() for name in split.classes]
    assert list(told.classes) == pytest.approx(means, abs=1e-12)


def test_where_nothing_is_found_parts_are_0_and_those_without_objects_unknown(tmp_path: Path) -> None:
    split, _ = _scenes(tmp_path, 0)
    told = AveragePrecision(split).metrics([NOTHING] * len(split.images))
    assert (told.ap, told.classes) == (0.0, (0.0, 0.0, 0.0))
    assert told.parts == {"ap50": 0.0, "ap75": 0.0, "small": 0.0, "medium": 0.0, "large": None}


@pytest.mark.parametrize("seed", range(6))
def test_equals_pycocotools_on_random_scenes(tmp_path, seed):
    split, coco = _scenes(tmp_path, seed)
    detections = _detections(split, seed + 100, most=(40, 700)[seed % 2])
    ap = AveragePrecision(split)(detections)
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
    assert AveragePrecision(split)(perfect) == 1.0
    assert AveragePrecision(split)(nothing) == 0.0
    wrong = [replace(found, labels=(found.labels + 1) % 10) for found in perfect]
    assert AveragePrecision(split)(wrong) < 0.1


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
    with pytest.raises(ValueError, match="wanted 'bbox' or 'segm'"):
        AveragePrecision(split, "keypoints")
    with pytest.raises(ValueError, match="got no masks of 1 boxes"):
        AveragePrecision(split, "segm")([Detections(box, one, np.array([1])), *rest])
    with pytest.raises(ValueError, match="got 0 masks of 1 boxes"):
        AveragePrecision(split, "segm")([Detections(box, one, np.array([1]), ()), *rest])


def _blob(rng: np.random.Generator) -> np.ndarray:
    """Draw some triangles, corners out of the image too."""
    mask = np.zeros((100, 120), np.uint8)
    for _ in range(rng.integers(1, 3)):
        centre = rng.uniform(10, 100, 2)
        cv2.fillPoly(mask, [np.int32(centre + rng.normal(0, 25, (3, 2)))], (1,))
    return mask


def _in_some_form(mask: np.ndarray, rng: np.random.Generator) -> Any:
    """Write a mask as polygons of its outlines, compressed or uncompressed run lengths."""
    form = rng.integers(3)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    polygons = [line.ravel().tolist() for line in outlines if len(line) > 2]
    if form == 0 and polygons:
        return polygons
    if form == 1:
        return _rle(mask)
    flat = mask.ravel(order="F")
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    return {"size": [100, 120], "counts": [0] * int(flat[0]) + np.diff(edges).tolist()}


def _rle(mask: np.ndarray) -> dict[str, Any]:
    from pycocotools.mask import encode

    rle = encode(np.asfortranarray(mask))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def _filled(runs: dict[str, Any]) -> np.ndarray:
    pixels = np.concatenate([np.full(run, number % 2, np.uint8) for number, run in enumerate(runs["counts"])])
    return pixels.reshape(runs["size"], order="F")


def _masked_scenes(folder: Path, seed: int) -> tuple[CocoSplit, dict[str, Any], list[Detections]]:
    """Draw masks and noisy copies of them; crowds, ignored objects and images without objects occur."""
    split, coco = _scenes(folder, seed)
    rng = np.random.default_rng(seed)
    blobs = {row["id"]: _blob(rng) for row in coco["annotations"]}
    for row in coco["annotations"]:
        row["segmentation"] = _in_some_form(blobs[row["id"]], rng)
        row["area"] = int(blobs[row["id"]].sum())
    (folder / "ann.json").write_text(json.dumps(coco))
    split = load_split(folder / "ann.json", folder)
    label = {row["id"]: number for number, row in enumerate(coco["categories"])}
    found = []
    for record in split.images:
        rows = [row for row in coco["annotations"] if row["image_id"] == record.id]
        masks = [np.roll(blobs[row["id"]], rng.integers(-3, 4, 2), (0, 1)) for row in rows]
        masks += [_blob(rng) for _ in range(rng.integers(0, 12))]
        labels = [label[row["category_id"]] for row in rows]
        labels += rng.integers(0, 3, len(masks) - len(rows)).tolist()
        scores = rng.random(len(masks)).round(1) + 0.4 * (np.arange(len(masks)) < len(rows))
        boxes = rng.uniform(0, 100, (len(masks), 4))  # must not matter
        found.append(Detections(boxes, scores, np.array(labels, np.int64), tuple(map(_rle, masks))))
    return split, coco, found


@pytest.mark.parametrize("seed", range(6))
def test_of_masks_equals_pycocotools(tmp_path, seed):
    split, coco, found = _masked_scenes(tmp_path, seed)
    forms = {type(a.segmentation) for record in split.images for a in record.annotations}
    assert forms == {list, dict}
    score = AveragePrecision(split, "segm")
    ap = score(found)
    assert 0.1 < ap < 0.95
    assert ap == pytest.approx(_reference(split, coco, found, "segm"), abs=1e-12)
    assert score(found) == ap
    assert AveragePrecision(split)(found) < 0.1  # their boxes are noise


def test_perfect_masks_and_masks_without_truth(digits):
    split = load_split(digits / "test.json", digits / "images")
    score = AveragePrecision(split, "segm")
    perfect = [
        Detections(r.boxes, np.ones(len(r.boxes)), r.labels, tuple(_rle(_filled(mask)) for mask in r.masks))
        for r in split.images
    ]
    assert score(perfect) == 1.0
    empty = [replace(NOTHING, masks=()) for _ in split.images]
    assert score(empty) == 0.0


@pytest.mark.parametrize("crowd", [0, 1])
def test_objects_without_masks_are_named_where_masks_are_compared(tmp_path, crowd):
    _, coco, _ = _masked_scenes(tmp_path, 0)
    coco["annotations"][3].update(segmentation=[], iscrowd=crowd)
    (tmp_path / "ann.json").write_text(json.dumps(coco))
    split = load_split(tmp_path / "ann.json", tmp_path)
    count = len(coco["annotations"])
    wanted = (
        rf"ann\.json: 1 of {count} objects have no usable segmentation, the first a '.' in x\.png: got none; .*'bbox'"
    )
    with pytest.raises(DataError, match=wanted):
        AveragePrecision(split, "segm")
    AveragePrecision(split)
