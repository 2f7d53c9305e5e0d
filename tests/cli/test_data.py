from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detkds_gp.data.coco import load_split

GpSearch = Callable[..., Any]

PAGE = """<annotation><filename>{name}.png</filename>
<size><width>40</width><height>30</height><depth>3</depth></size>
<object><name>dog</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>25</ymax></bndbox></object>
</annotation>"""


def test_digits_are_generated_once(gp_search: GpSearch, tmp_path: Path) -> None:
    numbers = ["--train", "3", "--selection", "2", "--test", "2", "--size", "64"]
    ended = gp_search("data", "digits", "-o", tmp_path / "digits", *numbers)
    assert ended.code == 0, ended.err
    assert "3 train, 2 selection, 2 test scenes of 64x64 pixels" in ended.out
    assert len(load_split(tmp_path / "digits/train.json", tmp_path / "digits/images").images) == 3
    assert gp_search("data", "digits", "-o", tmp_path / "digits", *numbers).code == 0
    other = gp_search("data", "digits", "-o", tmp_path / "digits", "--size", "64")
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "choose another folder" in other.err
    assert "size >= 64" in gp_search("data", "digits", "-o", tmp_path / "x", "--size", "8").err


def test_a_voc_folder_is_converted(gp_search: GpSearch, tmp_path: Path) -> None:
    source = tmp_path / "voc"
    for number in range(6):
        (source / "Annotations").mkdir(parents=True, exist_ok=True)
        (source / "JPEGImages").mkdir(exist_ok=True)
        (source / f"Annotations/{number}.xml").write_text(PAGE.format(name=number))
        cv2.imwrite(str(source / f"JPEGImages/{number}.png"), np.full((30, 40, 3), number, np.uint8))
    (source / "Annotations/6.xml").write_text(PAGE.format(name=6))
    ended = gp_search("data", "voc", source, "-o", tmp_path / "coco")
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"{tmp_path / 'coco'}: classes dog; ")
    assert "1 files left out: Annotations/6.xml has no image" in ended.out
    splits = [
        load_split(tmp_path / f"coco/{name}.json", tmp_path / "coco/images") for name in ("train", "selection", "test")
    ]
    assert sum(len(split.images) for split in splits) == 6
    refused = gp_search("data", "voc", tmp_path / "nothing", "-o", tmp_path / "other")
    assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_a_yolo_folder_is_converted(gp_search: GpSearch, tmp_path: Path) -> None:
    source = tmp_path / "yolo"
    for folder in ("images", "labels"):
        (source / folder).mkdir(parents=True)
    for number in range(6):
        cv2.imwrite(str(source / f"images/{number}.png"), np.full((30, 40, 3), number, np.uint8))
        (source / f"labels/{number}.txt").write_text("0 .5 .5 .5 .4\n1 .5 .5\n")
    (source / "data.yaml").write_text("names: {0: dog, 1: cat}\ntrain: images\n")
    ended = gp_search("data", "yolo", source, "-o", tmp_path / "coco")
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"{tmp_path / 'coco'}: classes dog, cat; ")
    assert "6 broken lines left out: labels/" in ended.out
    assert ":2 (3 numbers, wanted 5 of a box" in ended.out
    split = load_split(tmp_path / "coco/train.json", tmp_path / "coco/images")
    assert split.images[0].boxes.tolist() == [[10, 9, 30, 21]]
    refused = gp_search("data", "yolo", tmp_path / "nothing", "-o", tmp_path / "other")
    assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_a_data_set_is_checked_with_a_sheet(gp_search: GpSearch, digits: Path, tmp_path: Path) -> None:
    ended = gp_search("data", "check", digits, "-o", tmp_path / "sheet.png")
    assert ended.code == 0, ended.err
    assert "objects to learn, by class" in ended.out
    assert f"{tmp_path / 'sheet.png'}: images of each split with their boxes" in ended.out.replace("\n", "")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 4 * 328 + 8
    told = json.loads(gp_search("data", "check", digits, "--json").out)
    assert {name: split["images"] for name, split in told["splits"].items()} == {"train": 24, "selection": 8, "test": 8}


def test_what_is_refused_is_shown_with_the_rest(gp_search: GpSearch, digits: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(digits, tmp_path / "set"))
    raw = json.loads((folder / "test.json").read_text())
    raw["images"][2]["width"] = 64
    raw["annotations"][0]["iscrowd"] = None
    (folder / "test.json").write_text(json.dumps(raw))
    ended = gp_search("data", "check", folder)
    assert ended.code == 2
    assert "refused in test: 1 of 8 images have another size than the file says" in ended.out
    assert "test_00002.jpg has 128x128 pixels, the file says 64x128" in ended.out
    assert "mended in test: 'iscrowd' or 'ignore' that are null" in ended.out


def test_how_a_folder_was_read_is_said_and_options_decide(gp_search: GpSearch, digits: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(digits, tmp_path / "set"))
    shutil.copy(folder / "train.json", folder / "old_train.json")
    refused = gp_search("data", "check", folder)
    assert refused.code == 2
    assert "say which counts by --train-json" in refused.err
    ended = gp_search("data", "check", folder, "--train-json", "train.json")
    assert ended.code == 0
    line = "train: train.json, its images in images"
    assert line in ended.out
    assert line in json.loads(gp_search("data", "check", folder, "--train-json", "train.json", "--json").out)["notes"]


def test_the_data_of_a_config_are_checked(gp_search: GpSearch, tiny_config: Path) -> None:
    told = json.loads(gp_search("data", "check", tiny_config, "--json").out)
    assert told["splits"]["train"]["images"] == 12
