"""Files as people have them, through `init` and `train` to the end: the AP is the one that pycocotools finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mmdet.apis import inference_detector, init_detector
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .conftest import GpSearch

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
SAID = {
    "02-roboflow-root-category": (
        "test/_annotations.coco.json",
        ["annotation ids that are 0", "only a supercategory: 1"],
    ),
    "04b-iscrowd-null": ("test.json", ["'iscrowd' or 'ignore' that are null"]),
}
CLASSES = ("cat", "dog", "cow")


def detections(folder: Path, images: Path, truth: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what plain mmdet finds with the files that a training left, in pycocotools' form."""
    detector = init_detector(str(folder / "student.py"), str(folder / "student.pth"), device="cpu")
    number = {row["name"]: row["id"] for row in truth["categories"]}
    rows = []
    for image in truth["images"]:
        found = inference_detector(detector, str(images / image["file_name"])).pred_instances
        for box, label, score in zip(found.bboxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True):
            x, y, right, bottom = box
            category = number[detector.dataset_meta["classes"][label]]
            xywh = [x, y, right - x, bottom - y]
            rows.append({"image_id": image["id"], "category_id": category, "bbox": xywh, "score": score})
    return rows


def ap(truth: dict[str, Any], found: list[dict[str, Any]]) -> float:
    """Return the AP on the classes, with ids of annotations from 1 and no crowds."""
    for position, row in enumerate(truth["annotations"], 1):
        row.update(id=position, iscrowd=0)
    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
    evaluation.params.catIds = [row["id"] for row in truth["categories"] if row["name"] in CLASSES]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.slow
@pytest.mark.parametrize("case", SAID)
def test_the_ap_of_a_training_is_that_of_an_independent_evaluation(
    case: str, gp_search: GpSearch, tmp_path: Path
) -> None:
    source = CASES / case
    if not source.is_dir():
        pytest.skip(f"the case is not at {source}")
    pair = ("--student", CASES / "student.py", "--teacher", CASES / "teacher.py")
    begun = gp_search("init", *pair, "--data", source, "--scratch", "-o", tmp_path / "s.py")
    assert begun.code == 0
    folder = tmp_path / "t"
    ended = gp_search("train", tmp_path / "s.py", "--distiller", "none", "--iterations", 60, "--work-dir", folder)
    assert ended.code == 0
    ann_file, said = SAID[case]
    assert all(line in begun.out for line in said)
    assert "training on all 24 images" in ended.out
    truth = json.loads((source / ann_file).read_text())
    found = detections(folder, (source / ann_file).parent / ("images" if case.startswith("04") else ""), truth)
    told = json.loads((folder / "result.json").read_text())["ap"]
    assert told > 0.01
    assert told == pytest.approx(ap(truth, found), abs=0.0006)  # mmdet rounds to thousandths
