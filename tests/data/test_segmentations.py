from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detkds_gp.data.coco import load_split
from detkds_gp.data.objects import check_segmentations, without_slivers
from detkds_gp.data.split import CocoSplit
from detkds_gp.errors import DataError

TRIANGLE = [1.0, 1.0, 9.0, 1.0, 9.0, 9.0]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([TRIANGLE, [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7]], [TRIANGLE]),
        ([[1, 2, 3, 4]], None),
        ([], None),
        (None, None),
        ({"size": [10, 20], "counts": [200]}, {"size": [10, 20], "counts": [200]}),
        (TRIANGLE, TRIANGLE),
    ],
)
def test_polygons_that_enclose_nothing_are_left_out(given: Any, left: Any) -> None:
    assert without_slivers(given) == left


def _split(folder: Path, *objects: dict[str, Any]) -> CocoSplit:
    cv2.imwrite(str(folder / "a.png"), np.zeros((10, 20, 3), np.uint8))
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8]}
    rows = [{**box, "id": number, **row} for number, row in enumerate(objects, start=1)]
    images = [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}]
    coco = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "ann.json").write_text(json.dumps(coco))
    return load_split(folder / "ann.json", folder)


GOOD = {"segmentation": [TRIANGLE]}


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "got none"),
        ([], "got none"),
        ([[1, 2, 3, 4]], "got none"),
        (TRIANGLE, r"got \[1\.0, 1\.0"),
        ([[1, 2, 3, 4, 5, "6"]], "no finite number"),
        ([[1, 2, 3, 4, 5, float("nan")]], "no finite number"),
        ({"size": [20, 10], "counts": [200]}, r"RLE of size \[20, 10\], the image has \[10, 20\]"),
        ({"counts": [200]}, "RLE of size None"),
        ({"size": [10, 20], "counts": [199]}, "do not add up"),
        ({"size": [10, 20], "counts": [201, -1]}, "do not add up"),
        ({"size": [10, 20], "counts": ""}, "with the counts ''"),
        ({"size": [10, 20]}, "with the counts None"),
        ("polygon", "got 'polygon'"),
    ],
)
def test_objects_without_a_usable_mask_are_named(tmp_path: Path, segmentation: Any, message: str) -> None:
    split = _split(tmp_path, GOOD, {"segmentation": segmentation}, {})
    with pytest.raises(DataError, match=message) as caught:
        check_segmentations(split, "do without", learned_only=True)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'ann.json'}: 2 of 3 objects")
    assert "the first a 'cat' in a.png" in said
    assert said.endswith("; label masks, or do without")
    assert "\n" not in said


def test_masks_of_every_form_are_taken(tmp_path: Path) -> None:
    forms = [[TRIANGLE, TRIANGLE], {"size": [10, 20], "counts": [3, 5, 192]}, {"size": [10, 20], "counts": "35P6"}]
    split = _split(tmp_path, *({"segmentation": form} for form in forms))
    check_segmentations(split, "", learned_only=True)
    check_segmentations(split, "", learned_only=False)


@pytest.mark.parametrize("more", [{"iscrowd": 1}, {"ignore": 1}, {"bbox": [1, 1, 0.5, 8]}])
def test_what_training_does_not_see_needs_no_mask_to_train(tmp_path: Path, more: dict[str, Any]) -> None:
    split = _split(tmp_path, GOOD, more)
    check_segmentations(split, "", learned_only=True)
    with pytest.raises(DataError, match="1 of 2 objects"):
        check_segmentations(split, "", learned_only=False)
