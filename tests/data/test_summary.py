"""A summary counts what is there, and says what looks wrong between splits and in pixels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from detkds_gp.data.coco import SplitSource, read_splits
from detkds_gp.data.contact_sheet import write_sheet
from detkds_gp.data.findings import KINDS, Tally
from detkds_gp.data.image_contents import LOOKED_AT, count_equal_images, look_at_pixels
from detkds_gp.data.split import CocoSplit
from detkds_gp.data.summary import QUANTILES, summarize

NAMES = ("train", "selection", "test")


@pytest.fixture
def folder(digits: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits, tmp_path / "set"))


def read(folder: Path) -> dict[str, CocoSplit]:
    return read_splits({name: SplitSource(folder / f"{name}.json", folder / "images") for name in NAMES}, None)


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def told(folder: Path) -> str:
    return "\n".join(summarize(read(folder)).lines())


def test_counts_and_quantiles_are_those_of_the_files(digits: Path) -> None:
    splits = read(digits)
    summary = summarize(splits)
    assert summary.findings == ()
    for name, split in summary.splits.items():
        raw = json.loads((digits / f"{name}.json").read_text())
        of_id = {row["id"]: row["name"] for row in raw["categories"]}
        assert split.images == len(raw["images"])
        assert split.annotations == split.learned == len(raw["annotations"])
        assert split.by_class == {
            category: sum(of_id[row["category_id"]] == category for row in raw["annotations"])
            for category in summary.classes
        }
        sizes = sorted((row["bbox"][2] * row["bbox"][3]) ** 0.5 for row in raw["annotations"])
        assert split.object_sizes["min"] == pytest.approx(sizes[0], abs=0.06)
        assert split.object_sizes["max"] == pytest.approx(sizes[-1], abs=0.06)
        assert split.object_sizes["median"] == pytest.approx(float(np.median(sizes)), abs=0.06)
        assert set(split.image_widths) == set(QUANTILES)
        assert set(split.image_widths.values()) == {128.0}
    content = json.loads(json.dumps(summary.to_json()))
    assert content["splits"]["test"]["learned"] == summary.splits["test"].learned
    assert [line.split(":")[0] for line in content["lines"]] == list(NAMES)


def test_images_without_an_object_are_counted(folder: Path) -> None:
    def bare(content: Any) -> None:
        first, second = (image["id"] for image in content["images"][:2])
        content["annotations"] = [row for row in content["annotations"] if row["image_id"] != first]
        for row in content["annotations"]:
            row["iscrowd"] = int(row["image_id"] == second)

    edit(folder / "train.json", bare)
    assert summarize(read(folder)).splits["train"].background == 2
    assert "train: 24 images (2 without an object to learn), the median 128x128 pixels" in told(folder)


def test_equal_images_of_two_splits_are_told_and_their_neighbours_are_not(folder: Path) -> None:
    images = folder / "images"
    shutil.copy(images / "train_00003.jpg", images / "test_00001.jpg")
    assert (
        "images of one split that are byte for byte in another: 1; remove one of each pair, "
        "e.g. train train_00003.jpg and test test_00001.jpg" in told(folder)
    )
    shutil.copy(images / "train_00005.jpg", images / "selection_00002.jpg")
    text = told(folder)
    assert "in another: 2;" in text
    for pair in (
        "train train_00003.jpg and test test_00001.jpg",
        "train train_00005.jpg and selection selection_00002",
    ):
        assert pair in text
    shutil.copy(images / "selection_00001.jpg", images / "selection_00002.jpg")
    changed = bytearray((images / "train_00003.jpg").read_bytes())
    changed[-3] ^= 1
    (images / "test_00001.jpg").write_bytes(bytes(changed))
    tally = Tally()
    count_equal_images(read(folder), tally)
    assert tally.findings() == ()


def test_long_files_that_begin_alike_are_not_equal(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    for name, last in (("train_00000", 1), ("test_00000", 2)):
        pixels[-1, -1] = last
        cv2.imwrite(str(folder / "images" / f"{name}.bmp"), pixels)
        (folder / "images" / f"{name}.bmp").rename(folder / "images" / f"{name}.jpg")
    tally = Tally()
    count_equal_images(read(folder), tally)
    assert tally["equal_images"] == 0
    shutil.copy(folder / "images" / "train_00000.jpg", folder / "images" / "test_00000.jpg")
    count_equal_images(read(folder), tally)
    assert tally["equal_images"] == 1


def test_dark_images_are_told_and_a_lamp_in_the_night_is_not_dark(folder: Path) -> None:
    for number in range(8):
        cv2.imwrite(str(folder / f"images/test_{number:05d}.jpg"), np.full((128, 128, 3), 7, np.uint8))
    night = np.full((128, 128, 3), 7, np.uint8)
    night[60:70, 60:70] = 250
    for number in range(8):
        cv2.imwrite(str(folder / f"images/selection_{number:05d}.jpg"), night)
    lines = told(folder)
    assert (
        "warning in test: 8 of 8 images looked at are nearly black, e.g. test_00000.jpg: its brightest value is 7"
        in lines
    )
    assert "nearly black" not in lines.replace("warning in test", "", 1).split("nearly black", 1)[1]


def test_so_many_pixels_are_looked_at_and_those_of_more_bits_first(folder: Path) -> None:
    deep = np.full((128, 128, 3), 2000, np.uint16)
    for number in (2, 9):
        cv2.imwrite(str(folder / f"images/train_{number:05d}.png"), deep)
        (folder / f"images/train_{number:05d}.png").rename(folder / f"images/train_{number:05d}.jpg")
    split, tally = read(folder)["train"], Tally()
    assert look_at_pixels(split, tally) == 2
    assert tally["dark"] == 2
    assert look_at_pixels(read(folder)["test"], tally) == 8 < LOOKED_AT < len(split.images)


def test_a_class_without_an_object_in_train_is_named_with_who_has_it(folder: Path) -> None:
    edit(
        folder / "train.json",
        lambda raw: raw.update(annotations=[a for a in raw["annotations"] if a["category_id"] != 3]),
    )
    name = next(row["name"] for row in json.loads((folder / "train.json").read_text())["categories"] if row["id"] == 3)
    have = summarize(read(folder)).splits["test"].by_class[name]
    assert f"classes without an object to learn in train: 1, e.g. {name!r}" in told(folder)
    assert have == 0 or f"{have} in test" in told(folder)


def test_objects_of_a_class_that_train_does_not_have_are_named(folder: Path) -> None:
    def add(raw: Any) -> None:
        raw["categories"].append({"id": 77, "name": "hat"})
        raw["annotations"].append({**raw["annotations"][0], "id": 9999, "category_id": 77})

    edit(folder / "test.json", add)
    summary = summarize(read(folder))
    assert summary.splits["test"].not_learned == {"other_class": 1}
    assert (
        "warning in test: annotations of categories that are no class of this data set: 1; left out, e.g. 'hat'"
        in told(folder)
    )


def test_one_finding_of_several_splits_is_one_line(folder: Path) -> None:
    for name in ("selection", "test"):
        edit(folder / f"{name}.json", lambda raw: [row.update(iscrowd=None) for row in raw["annotations"][:5]])
    lines = summarize(read(folder)).lines()
    assert [line for line in lines if "iscrowd" in line] == [
        "mended in selection, test: 'iscrowd' or 'ignore' that are null, text or true/false: 5; read as 0 or 1, "
        "e.g. iscrowd None"
    ]


def test_a_sheet_shows_a_dozen_images_with_boxes_where_they_are(folder: Path, tmp_path: Path) -> None:
    splits = read(folder)
    write_sheet(splits, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet).astype(int)
    height = (len(pixels) - 8) // 3
    assert pixels.shape == (3 * height + 8, 4 * 328 + 8, 3)
    record = splits["train"].images[0]
    x, y, w, _ = (value * 320 / 128 + 8 for value in record.annotations[0].bbox)
    edge = pixels[round(y), round(x) : round(x + w - 8)]
    assert np.ptp(edge[len(edge) // 3 :], axis=1).mean() > 60  # coloured, while digits are grey
    (folder / "images/test_00000.jpg").write_bytes(b"no image")
    write_sheet(read(folder), tmp_path / "other.png")
    assert (tmp_path / "other.png").stat().st_size > 10_000


def test_the_table_of_the_docs_has_what_is_said_word_for_word() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for level, text in KINDS.values():
        assert f"| {level}: {text.format(count='N', images='M', boxes='M')} |" in page
