from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detkds_gp.data.coco import data_hash, load_split
from detkds_gp.data.split import Account, write_normal
from detkds_gp.errors import DataError

POLYGON = [[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]]


def _folder(root: Path, coco: Any = None) -> tuple[Path, Path]:
    """Write three 20x10 images and the annotation file; return what load_split takes."""
    (root / "images").mkdir(parents=True)
    for name in "abc":
        cv2.imwrite(str(root / f"images/{name}.png"), np.full((10, 20, 3), ord(name), np.uint8))
    (root / "ann.json").write_text(json.dumps(_coco() if coco is None else coco))
    return root / "ann.json", root / "images"


def _coco(**changes: Any) -> dict[str, Any]:
    images = [
        {"id": number, "file_name": f"{name}.png", "width": 20, "height": 10}
        for number, name in ((7, "c"), (3, "a"), (5, "b"))
    ]
    annotations = [
        {"id": 1, "image_id": 3, "category_id": 20, "bbox": [1.5, 2, 8, 7], "area": 50,
         "iscrowd": 0, "segmentation": POLYGON},
        {"id": 2, "image_id": 3, "category_id": 10, "bbox": [-4, 0, 10, 5],
         "area": 50, "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 20, "bbox": [0, 0, 20, 10],
         "area": 200, "iscrowd": 1},
        {"id": 4, "image_id": 7, "category_id": 10, "bbox": [2, 2, 0.5, 5], "area": 2.5},
        {"id": 5, "image_id": 7, "category_id": 10, "bbox": [20, 0, 5, 5], "area": 25},
        {"id": 6, "image_id": 7, "category_id": 10, "bbox": [2, 2, 5, 5], "area": 0},
        {"id": 8, "image_id": 7, "category_id": 10, "bbox": [2, 2, -5, 5], "area": 25},
        {"id": 7, "image_id": 7, "category_id": 10, "bbox": [3, 3, 4, 4], "ignore": 1},
    ]  # fmt: skip
    categories = [{"id": 20, "name": "cat"}, {"id": 10, "name": "ant"}]
    return {"images": images, "annotations": annotations, "categories": categories} | changes


def test_boxes_labels_and_masks_are_those_of_the_file(tmp_path):
    split = load_split(*_folder(tmp_path))
    assert split.classes == ("cat", "ant")  # the file's order, neither by id nor by name
    assert [record.id for record in split.images] == [3, 5, 7]
    first, empty, crowded = split.images
    assert first.path == tmp_path / "images/a.png"
    assert (first.width, first.height) == (20, 10)
    np.testing.assert_array_equal(first.boxes, np.float32([[1.5, 2, 9.5, 9], [-4, 0, 6, 5]]))
    assert first.boxes.dtype == np.float32
    assert first.labels.tolist() == [0, 1]
    assert first.labels.dtype == np.int64
    assert first.masks == (POLYGON, None)
    assert empty.boxes.shape == (0, 4)
    assert empty.labels.shape == (0,)
    np.testing.assert_array_equal(crowded.boxes, np.float32([[2, 2, 7, 7]]))


def test_degenerate_boxes_are_counted_and_crowds_kept_for_evaluation(tmp_path):
    split = load_split(*_folder(tmp_path))
    assert split.account == Account(learned=3, crowd=1, ignored=1, thin=1, no_area=1, outside=1)
    assert split.account.total == len(_coco()["annotations"])
    assert [(a.crowd, a.ignore) for a in split.images[2].annotations] == [
        (True, False), (False, False), (False, False), (False, True),
    ]  # fmt: skip
    assert [a.area for a in split.images[2].annotations[2:]] == [25, 16]  # the file has 0, and none


def test_classes_fix_order_and_subset(tmp_path):
    files = _folder(tmp_path)
    assert load_split(*files, classes=["ant", "cat"]).images[0].labels.tolist() == [1, 0]
    ants = load_split(*files, classes=["ant"])
    assert ants.images[0].labels.tolist() == [0]
    assert len(ants.images) == 3
    assert [a.label for a in ants.images[2].annotations] == [0] * 3
    assert ants.account.other_class == 2


def _without(part: str, key: str) -> dict[str, Any]:
    coco = _coco()
    del coco[part][0][key]
    return coco


def _with(part: str, **changes: Any) -> dict[str, Any]:
    coco = _coco()
    coco[part][0] |= changes
    return coco


@pytest.mark.parametrize(
    ("coco", "message"),
    [
        ([1], "not COCO"),
        ({"images": []}, "no images"),
        ({"categories": []}, "no list 'images'"),
        (_coco(annotations=[]), "no annotations"),
        (_coco(annotations={"1": 2}), "no list 'annotations'"),
        (_coco(annotations=_coco()["annotations"][2:5]), "got 3 annotations of the classes, but none to learn"),
        (_without("annotations", "bbox"), "'bbox'"),
        (_without("categories", "name"), "'name'"),
        (_with("images", id=5), "duplicates in the ids of 'images', the first 5"),
        (_with("images", id="x"), "'x' in 'images', wanted integers"),
        (_with("images", file_name="d.png"), "1 of 3 images are missing, the first .*d.png"),
        (_with("images", height="tall"), "broken entry of 'images'"),
        (_with("images", width=19), "1 of 3 images have another size .* c.png has 20x10 pixels, the file says 19x10"),
        (_with("annotations", iscrowd="maybe"), "annotation 1 has iscrowd 'maybe', wanted 0 or 1"),
        (_with("annotations", image_id=4), "annotation 1 points to the unknown image 4"),
        (_with("annotations", category_id=1), "unknown category 1, wanted one of 20, 10"),
        (_with("annotations", bbox=[1, 2, 3]), "annotation 1 has the box"),
        (_with("annotations", bbox=[1, 2, 3, float("nan")]), "annotation 1 has the box"),
        (_with("categories", id=10), "duplicates in the ids of 'categories'"),
        (_with("categories", name="ant"), "duplicates in the category names, the first 'ant'"),
    ],
)
def test_faulty_files_are_named_in_one_line(tmp_path, coco, message):
    ann_file, image_dir = _folder(tmp_path, coco)
    with pytest.raises(DataError, match=message) as caught:
        load_split(ann_file, image_dir)
    assert str(caught.value).startswith(str(ann_file))
    assert "\n" not in str(caught.value)


def test_unreadable_annotation_files(tmp_path):
    ann_file, image_dir = _folder(tmp_path)
    ann_file.write_text(ann_file.read_text()[:-20])
    with pytest.raises(DataError, match="broken JSON"):
        load_split(ann_file, image_dir)
    ann_file.write_bytes(b"")
    with pytest.raises(DataError, match="broken JSON"):
        load_split(ann_file, image_dir)
    with pytest.raises(DataError, match="no such annotation file"):
        load_split(tmp_path / "none.json", image_dir)
    with pytest.raises(DataError, match="directory"):
        load_split(tmp_path, image_dir)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            ["cat", "aunt"],
            "got classes cat, aunt, .* categories are cat, ant; .*did you mean 'ant'",
        ),
        ([], "got classes none"),
        (["cat", "cat"], "duplicates in classes"),
    ],
)
def test_classes_that_the_file_lacks(tmp_path, classes, message):
    with pytest.raises(DataError, match=message):
        load_split(*_folder(tmp_path), classes=classes)


def test_hash_follows_content_and_not_place(tmp_path):
    here = load_split(*_folder(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    there = tmp_path / "there"
    files = there / "ann.json", there / "images"
    assert data_hash(load_split(*files)) == data_hash(here)
    assert data_hash(load_split(*files, classes=["ant", "cat"])) != data_hash(here)
    pixels = np.full((10, 20, 3), ord("a"), np.uint8)
    pixels[0, 0] = 0
    cv2.imwrite(str(there / "images/a.png"), pixels)
    assert data_hash(load_split(*files)) != data_hash(here)
    cv2.imwrite(str(there / "images/a.png"), np.full((10, 20, 3), ord("a"), np.uint8))
    assert data_hash(load_split(*files)) == data_hash(here)
    (there / "ann.json").write_text(json.dumps(_with("annotations", bbox=[1.5, 2, 8, 6])))
    assert data_hash(load_split(*files)) != data_hash(here)


def test_training_sees_what_mmdet_would_show_it(tmp_path):
    datasets = pytest.importorskip("mmdet.datasets")
    split = load_split(*_folder(tmp_path))
    ann_file, image_dir = write_normal(split, tmp_path), split.image_dir
    theirs = datasets.CocoDataset(
        ann_file=str(ann_file),
        data_prefix={"img": str(image_dir)},
        metainfo={"classes": split.classes},
    )
    rows = {row["img_id"]: row["instances"] for row in map(theirs.get_data_info, range(len(theirs)))}
    for record in split.images:
        learned = [row for row in rows[record.id] if not row["ignore_flag"]]
        assert record.boxes.tolist() == [row["bbox"] for row in learned]
        assert record.labels.tolist() == [row["bbox_label"] for row in learned]
    assert len(rows) == 3


@pytest.mark.parametrize(("name", "images"), [("train", 205), ("val", 87), ("test", 72)])
def test_bccd_is_read_as_its_readme_says(bccd, name, images):
    split = load_split(bccd / f"{name}.json", bccd / "images")
    assert len(split.images) == images
    assert set(split.classes) == {"RBC", "WBC", "Platelets"}
    stated = json.loads((bccd / f"{name}.json").read_text())["annotations"]
    assert sum(len(record.boxes) for record in split.images) == split.account.learned
    assert split.account.learned + sum(split.account.not_learned.values()) == len(stated)
