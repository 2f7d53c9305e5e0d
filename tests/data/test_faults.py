"""Files with the faults of exporters, singly and in pairs: read with one number and a full account, or refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from detkds_gp.data.average_precision import AveragePrecision
from detkds_gp.data.coco import data_hash, load_split
from detkds_gp.data.split import CocoSplit, write_normal
from detkds_gp.data.summary import summarize
from detkds_gp.errors import DataError

from .scored import by_pycocotools, noisy

Row = dict[str, Any]
SIDES = (40, 60)


def coco() -> Row:
    """Return five sound images of 60x40 pixels with three objects each, of three classes."""
    rng = np.random.default_rng(5)
    images = [{"id": n, "file_name": f"{n}.jpg", "width": SIDES[1], "height": SIDES[0]} for n in range(1, 6)]
    annotations = [
        {
            "id": number + 1,
            "image_id": number // 3 + 1,
            "category_id": int(rng.integers(1, 4)),
            "bbox": [float(v) for v in (*rng.integers(0, 25, 2), *rng.integers(4, 15, 2))],
            "area": 16.0,
            "iscrowd": 0,
        }
        for number in range(15)
    ]
    categories = [{"id": n, "name": name, "supercategory": "pet"} for n, name in enumerate(("cat", "dog", "cow"), 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five sound images, and others that are not."""
    root = tmp_path_factory.mktemp("faults")
    pixels = np.random.default_rng(1).integers(0, 256, (*SIDES, 3), dtype=np.uint8)
    for number in range(1, 6):
        cv2.imwrite(str(root / f"{number}.jpg"), np.roll(pixels, number, 0))
    whole = (root / "1.jpg").read_bytes()
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "empty.jpg").write_bytes(b"")
    (root / "text.jpg").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    cv2.imwrite(str(root / "deep.png"), pixels.astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(root / "turned.jpg", exif=exif)
    Image.fromarray(pixels[:, :40]).save(root / "square.jpg", exif=exif)
    (root / "sub").mkdir()
    cv2.imwrite(str(root / "sub" / "1.jpg"), pixels)
    return root


def some(part: str, key: str, value: Any) -> Callable[[Row, int], None]:
    """Set a key of one entry; a function is asked for the value."""

    def change(raw: Row, pick: int) -> None:
        row = raw[part][pick % len(raw[part])]
        row[key] = value(row) if callable(value) else value

    return change


def every(part: str, key: str, value: Any) -> Callable[[Row, int], None]:
    """Set a key of all entries."""

    def change(raw: Row, pick: int) -> None:
        for row in raw[part]:
            row[key] = value(row) if callable(value) else value

    return change


def each(part: str, key: str, *values: Any) -> dict[str, Callable[[Row, int], None]]:
    """Set a key of one entry to each of some values."""
    return {f"{key} {value!r}": some(part, key, value) for value in values}


def as_float(row: Row) -> Any:
    return float(row["id"]) if isinstance(row["id"], int) else row["id"]


def without(part: str, key: str) -> Callable[[Row, int], None]:
    def change(raw: Row, pick: int) -> None:
        raw[part][pick % len(raw[part])].pop(key, None)

    return change


def twice(part: str, **other: Any) -> Callable[[Row, int], None]:
    def change(raw: Row, pick: int) -> None:
        raw[part].append({**copy.deepcopy(raw[part][pick % len(raw[part])]), **other})

    return change


def corners(row: Row) -> Any:
    box = row["bbox"]
    plain = isinstance(box, list) and len(box) == 4 and all(isinstance(value, float) for value in box)
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]] if plain else box


def texts(row: Row) -> Any:
    return [str(value) for value in row["bbox"]] if isinstance(row["bbox"], list) else row["bbox"]


ANNOTATIONS, IMAGES, CATEGORIES = "annotations", "images", "categories"
BROKEN_BOXES = (
    [1, 2, 3], [], None, [1, 2, 3, None], [1, 2, 3, float("inf")], [1, 2, 3, "x"], "1,2,3,4", [1e300] * 4, {"x": 1},
    [[1, 2, 3, 4]],
)  # fmt: skip
ODD_BOXES = (
    [9, 9, -5, 5], [9, 9, 0, 5], [9, 9, 0.4, 5], [90, 9, 5, 5], [-9, -9, 5, 5], [-3, -3, 9, 9], [50, 30, 30, 30],
    [5, 5, 1e-30, 1e-30],
)  # fmt: skip
BROKEN_FILES = (
    "",
    "a\0b.jpg",
    "cut.jpg",
    "empty.jpg",
    "none.jpg",
    "square.jpg",
    "text.jpg",
    "turned.jpg",
    "sub",
    5,
    None,
)
SLIVERS = ([], [[]], [[1, 2]], None, "x", [["1"] * 6])

FAULTS: dict[str, Callable[[Row, int], None]] = {
    "ids from 0": every(ANNOTATIONS, "id", lambda row: row["id"] - 1 if isinstance(row.get("id"), int) else None),
    "an id missing": without(ANNOTATIONS, "id"),
    "equal ids": every(ANNOTATIONS, "id", 7),
    "an id of text": some(ANNOTATIONS, "id", "a-1"),
    "a null id": some(ANNOTATIONS, "id", None),
    **each(ANNOTATIONS, "iscrowd", None, "0", "1", True, 1, 0.0, "maybe", [], 2),
    "all iscrowd null": every(ANNOTATIONS, "iscrowd", None),
    "all iscrowd text": every(ANNOTATIONS, "iscrowd", "0"),
    "all crowds": every(ANNOTATIONS, "iscrowd", "1"),
    "no iscrowd": without(ANNOTATIONS, "iscrowd"),
    **each(ANNOTATIONS, "ignore", None, "0", "true", 1),
    **each(ANNOTATIONS, "area", 0, -3, None, "12", "wide", 1e9, float("nan"), True),
    "all areas 0": every(ANNOTATIONS, "area", 0),
    "no area": without(ANNOTATIONS, "area"),
    "boxes of text": every(ANNOTATIONS, "bbox", texts),
    "corners": every(ANNOTATIONS, "bbox", corners),
    "fractions": every(ANNOTATIONS, "bbox", [0.1, 0.2, 0.3, 0.4]),
    **each(ANNOTATIONS, "bbox", *BROKEN_BOXES, *ODD_BOXES),
    "a box twice": twice(ANNOTATIONS),
    "a width of text": every(IMAGES, "width", lambda row: str(row.get("width"))),
    **each(IMAGES, "width", None, 0, -1, "", 60.0, 61, "wide", True, [60]),
    "no width": without(IMAGES, "width"),
    "sides exchanged": some(IMAGES, "width", SIDES[0]),
    "half the size": every(IMAGES, "width", SIDES[1] // 2),
    "image ids of text": every(IMAGES, "id", lambda row: str(row["id"])),
    "an image id of letters": some(IMAGES, "id", "one"),
    "image ids of floats": every(IMAGES, "id", as_float),
    "equal image ids": twice(IMAGES),
    "two entries of an image": twice(IMAGES, id=99),
    "an unknown image": some(ANNOTATIONS, "image_id", 1234),
    "image_id of text": every(ANNOTATIONS, "image_id", lambda row: str(row["image_id"])),
    "an unknown category": some(ANNOTATIONS, "category_id", 1234),
    "category_id of text": every(ANNOTATIONS, "category_id", lambda row: str(row["category_id"])),
    "category ids of floats": every(CATEGORIES, "id", as_float),
    "a null category": some(ANNOTATIONS, "category_id", None),
    "a root": lambda raw, pick: raw[CATEGORIES].insert(0, {"id": 0, "name": "pet", "supercategory": "none"}),
    "a namesake": lambda raw, pick: raw[CATEGORIES].insert(0, {"id": 0, "name": "cat", "supercategory": "none"}),
    "a category that nothing uses": lambda raw, pick: raw[CATEGORIES].append({"id": 50, "name": "bird"}),
    "equal names": every(CATEGORIES, "name", "dog"),
    "a name that is a number": some(CATEGORIES, "name", 5),
    "a null supercategory": some(CATEGORIES, "supercategory", None),
    "a supercategory of a list": some(CATEGORIES, "supercategory", ["pet"]),
    "categories the other way": lambda raw, pick: raw[CATEGORIES].reverse(),
    **each(IMAGES, "file_name", *BROKEN_FILES, "sub\\1.jpg", "sub/1.jpg", "./1.jpg", "1.jpg", "deep.png"),
    **each(ANNOTATIONS, "segmentation", *SLIVERS),
    "no annotations": lambda raw, pick: raw.update(annotations=[]),
    "no categories": lambda raw, pick: raw.pop(CATEGORIES, None),
}
REFUSED = {
    "a null category", "all crowds", "an image id of letters", "an unknown category", "an unknown image", "fractions",
    "equal image ids", "equal names", "half the size", "sides exchanged", "iscrowd 'maybe'", "iscrowd []",
    "no annotations", "no categories", "width 'wide'", "width True", "width [60]", "width 61",
    *each(ANNOTATIONS, "bbox", *BROKEN_BOXES), *each(IMAGES, "file_name", *BROKEN_FILES),
}  # fmt: skip
SOUND = {
    "a category that nothing uses", "a name that is a number", "a null supercategory", "a supercategory of a list",
    "categories the other way", "file_name 'sub/1.jpg'", "iscrowd 2", "iscrowd 1", "ignore 1", "no iscrowd",
    "width 60.0", *each(ANNOTATIONS, "segmentation", *SLIVERS),
}  # fmt: skip
"""What is no fault to a reader: nothing has to be said."""


def written(folder: Path, raw: Row, name: str = "file") -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(raw))
    return path


def check(split: CocoSplit, raw: Row, folder: Path) -> None:
    """Hold a split that was read against all that was promised of it."""
    assert split.account.total == len(raw["annotations"])
    told = summarize({"train": split}).splits["train"]
    assert told.learned + sum(told.not_learned.values()) == told.annotations == len(raw["annotations"])
    assert told.learned == sum(len(record.boxes) for record in split.images) == sum(told.by_class.values()) > 0
    path = write_normal(split, folder / "normal")
    again = load_split(path, split.image_dir)
    assert {finding.kind for finding in again.findings if finding.level == "mended"} <= {"root_category"}
    assert data_hash(load_split(path, split.image_dir, split.classes)) == data_hash(split)
    detections = noisy(split, 3)
    assert AveragePrecision(split)(detections) == pytest.approx(by_pycocotools(path, split, detections), abs=1e-12)


def read(raw: Row, folder: Path) -> CocoSplit | DataError:
    """Return the split, or what refuses it."""
    try:
        return load_split(written(folder, raw), folder)
    except DataError as error:
        return error


def examine(raw: Row, folder: Path) -> CocoSplit | DataError:
    """Read a file and check what comes of it."""
    split = read(raw, folder)
    if isinstance(split, CocoSplit):
        check(split, raw, folder)
    else:
        assert "\n" not in str(split)
        assert str(split).startswith(str(folder / "file.json"))
    return split


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(FAULTS)), min_size=2, max_size=2), st.integers(0, 14))
def test_pairs_of_faults(folder: Path, faults: list[str], pick: int) -> None:
    raw = coco()
    for fault in faults:
        if raw.get(ANNOTATIONS) and raw.get(CATEGORIES):
            FAULTS[fault](raw, pick)
    examine(raw, folder)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_one_fault_is_refused_or_told(fault: str, folder: Path) -> None:
    raw = coco()
    FAULTS[fault](raw, 4)
    split = examine(raw, folder)
    assert isinstance(split, DataError) == (fault in REFUSED)
    if isinstance(split, CocoSplit):
        assert bool(split.findings) == (fault not in SOUND)


def test_a_sound_file_is_read_without_a_word(folder: Path) -> None:
    split = examine(coco(), folder)
    assert isinstance(split, CocoSplit)
    assert split.findings == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (every(ANNOTATIONS, "bbox", [40.0, 5.0, 50.0, 38.0]), "read as x1, y1, x2, y2 all would fit"),
        (
            every(ANNOTATIONS, "bbox", [40.0, 30.0, 38.0, 18.0]),
            "read as centre x, centre y, width, height all would fit",
        ),
        (
            every(ANNOTATIONS, "bbox", [50.0, 30.0, 30.0, 30.0]),
            "15 of 15 boxes reach out of their image, e.g. 1.jpg: [50",
        ),
    ],
    ids=["corners", "centres", "neither"],
)
def test_what_boxes_that_do_not_fit_look_like_is_said(
    change: Callable[[Row, int], None], said: str, folder: Path
) -> None:
    raw = coco()
    change(raw, 0)
    split = examine(raw, folder)
    assert isinstance(split, CocoSplit)
    assert said in next(str(finding) for finding in split.findings if finding.kind == "reaching_out")


def test_images_that_were_all_scaled_alike_are_refused_with_the_factor(folder: Path) -> None:
    raw = coco()
    for row in raw[IMAGES]:
        row.update(width=2 * SIDES[1], height=2 * SIDES[0])
    refused = examine(raw, folder)
    assert isinstance(refused, DataError)
    assert "5 of 5 images have another size than the file says" in str(refused)
    assert "all were scaled by 0.5 after they were labelled, so it seems, e.g. 1.jpg has 60x40 pixels" in str(refused)
