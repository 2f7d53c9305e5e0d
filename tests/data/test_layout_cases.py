"""Folders as people have them, kept beside the repository: each gives what is right for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from detkds_gp.data.coco import read_splits
from detkds_gp.data.coco_layout import ImageTree, coco_files, files_by_split, image_folder
from detkds_gp.data.discover import Choice, FoundData
from detkds_gp.data.folders import files_below
from detkds_gp.data.formats import data_in
from detkds_gp.data.split import CocoSplit
from detkds_gp.data.voc import convert_voc
from detkds_gp.data.yolo import convert_yolo
from detkds_gp.errors import DataError

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not at {CASES}")
SPLITS = ("train", "selection", "test")


def _found(case: str, tmp_path: Path, choice: Choice | None = None) -> FoundData:
    return data_in(CASES / case, tmp_path / "search-data", choice or Choice())


def _share_on_objects(root: Path, ann_file: str, images: str) -> float:
    """Return the share of a file's boxes that lie on the colour of their class, the median of its boxes' middles.

    Objects may cover each other, so that a share of three quarters is right; boxes beside their objects have none.
    """
    content = json.loads((root / ann_file).read_text())
    files = {row["id"]: root / images / row["file_name"] for row in content["images"]}
    crops: dict[int, list[np.ndarray]] = {}
    for row in content["annotations"]:
        pixels = cv2.imread(str(files[row["image_id"]])).astype(float)
        x, y, width, height = row["bbox"]
        crop = pixels[
            round(y + height / 4) : round(y + 3 * height / 4), round(x + width / 4) : round(x + 3 * width / 4)
        ]
        crops.setdefault(row["category_id"], []).append(crop.reshape(-1, 3))
    right = 0
    for own in crops.values():
        colour = np.median(np.concatenate(own), axis=0)
        assert np.ptp(colour) > 60  # objects are colourful, the ground is gray
        right += sum(bool((np.abs(crop - colour).max(1) < 50).mean() > 0.5) for crop in own)
    return right / len(content["annotations"])


def _train(found: FoundData) -> CocoSplit:
    return read_splits(found.sources, None)["train"]


def _lines(found: FoundData) -> str:
    return "\n".join(found.notes)


@pytest.mark.parametrize("case", ["17-voc-resized", "17b-voc-enlarged"])
def test_boxes_of_resized_images_are_scaled_aloud(case: str, tmp_path: Path) -> None:
    found = _found(case, tmp_path)
    assert "20 images have another size than their XML states (0000.xml: 96x64" in _lines(found)
    assert "boxes scaled by the ratio" in _lines(found)
    for split in SPLITS:
        assert _share_on_objects(found.root, f"{split}.json", "images") >= 0.75
    assert "boxes scaled by the ratio" in str(convert_voc(CASES / case, tmp_path / "out"))


def test_a_declared_encoding_is_read(tmp_path: Path) -> None:
    found = _found("18-voc-gbk", tmp_path)
    assert _train(found).classes == ("牛", "狗", "猫")
    assert "files that are not UTF-8: 10 in gb18030" in _lines(found)
    assert sum(convert_voc(CASES / "18-voc-gbk", tmp_path / "out").images.values()) == 20


def test_a_voc_folder_with_an_unrelated_json_is_voc(tmp_path: Path) -> None:
    found = _found("20-voc-with-json", tmp_path)
    assert found.notes[0].startswith("VOC, converted from")
    assert len(_train(found).images) == 12


def test_an_old_conversion_is_not_used_for_new_data(tmp_path: Path) -> None:
    for version, wanted in (("v1", 20), ("v2", 30), ("v1", 20)):
        shutil.rmtree(tmp_path / "voc", ignore_errors=True)
        shutil.copytree(CASES / "21-voc-stale" / version, tmp_path / "voc")
        found = data_in(tmp_path / "voc", tmp_path / "search-data")
        images = [json.loads((found.root / f"{split}.json").read_text())["images"] for split in SPLITS]
        assert sum(map(len, images)) == wanted


def test_dev_within_a_word_is_no_split(tmp_path: Path) -> None:
    found = _found("22-names-devanagari", tmp_path)
    assert {name: split.ann_file for name, split in found.splits.items()} == {
        "train": "devanagari_train.json", "selection": "devanagari_val.json", "test": "devanagari_test.json",
    }  # fmt: skip


def test_each_split_gets_its_own_folder_of_equal_names(tmp_path: Path) -> None:
    found = _found("12-same-names-split-folders", tmp_path)
    assert [split.images for split in found.splits.values()] == ["images/Train", "images/Validation", "images/Test"]
    for split in found.splits.values():
        assert _share_on_objects(found.root, split.ann_file, split.images) >= 0.75


def test_a_yolo_folder_is_read(tmp_path: Path) -> None:
    found = _found("23-yolo", tmp_path)
    assert _train(found).classes == ("cat", "dog", "cow")
    assert "YOLO, converted from" in _lines(found)
    for split in SPLITS:
        assert _share_on_objects(found.root, f"{split}.json", "images") >= 0.75
    assert convert_yolo(CASES / "23-yolo", tmp_path / "out").images == {"train": 10, "selection": 4, "test": 4}


def test_two_modalities_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"infrared/.* and .*visible/.*--images"):
        _found("28-llvip-two-modalities", tmp_path)
    found = _found("28-llvip-two-modalities", tmp_path, Choice(images={"": Path("visible")}))
    assert sum(len(json.loads((found.root / f"{s}.json").read_text())["images"]) for s in SPLITS) == 20
    assert "split by folders" in _lines(found)


def test_an_empty_validation_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"val.json has 8 images and no annotation.*--val-json"):
        _found("31c-empty-val", tmp_path)


@pytest.mark.parametrize(
    ("case", "names", "folders"),
    [
        ("02-roboflow-root-category", ["_annotations.coco"] * 3, ["train", "valid", "test"]),
        ("03-roboflow-one-class", ["_annotations.coco"] * 3, ["train", "valid", "test"]),
        ("10-wrong-size-in-test", ["train", "val", "test"], ["images"] * 3),
        ("11-backslash", ["train", "val", "test"], ["."] * 3),
        ("15-huge", ["train", "val", "test"], ["images"] * 3),
        ("26b-two-annotators-odd", ["annotations"], ["images"]),
        ("33-val-other-categories", ["train", "val", "test"], ["images"] * 3),
    ],
)
def test_files_and_image_folders(case: str, names: list[str], folders: list[str]) -> None:
    root = CASES / case
    files = files_below(root)
    chosen, notes = files_by_split(coco_files(files), root, {})
    assert ([file.path.stem for file in chosen.values()], notes) == (names, [])
    tree = ImageTree(root, files)
    found = [image_folder(tree, file.path, file.names, split, None) for split, file in chosen.items()]
    assert [str(folder.relative_to(root)) for folder in found] == folders
