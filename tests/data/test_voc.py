from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detkds_gp.data.coco import load_split
from detkds_gp.data.voc import convert_voc
from detkds_gp.errors import DataError

SPLITS = ("train", "selection", "test")
Object = tuple[str, tuple[Any, Any, Any, Any]]


def _xml(path: Path, objects: Iterable[Object], filename: str = "", **changes: Any) -> None:
    """Write an annotation file of a 40x30 image; ``difficult`` marks every object."""
    size = changes.get("size", (40, 30))
    difficult = changes.get("difficult", 0)
    body = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin>"
        f"<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2) in objects
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><filename>{filename}</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>{body}</annotation>"
    )


def _image(path: Path, gray: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((30, 40, 3), gray, np.uint8))[1].tobytes())


def _pairs(root: Path, names: Iterable[str], folders: tuple[str, str]) -> None:
    """Write annotations and images of the given stems into two folders, one object each."""
    for gray, name in enumerate(names):
        _xml(root / folders[0] / f"{name}.xml", [("cat", (5, 5, 20, 20))], f"{name}.png")
        _image(root / folders[1] / f"{name}.png", gray)


def _classic(root: Path, lists: dict[str, list[str]], count: int = 10) -> list[str]:
    names = [f"{number:03d}" for number in range(count)]
    _pairs(root, names, ("Annotations", "JPEGImages"))
    for name, stems in lists.items():
        path = root / "ImageSets" / "Main" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(stems) + "\n")
    return names


def _names(out: Path) -> dict[str, list[str]]:
    """Return the image stems of each written split."""
    files = {split: json.loads((out / f"{split}.json").read_text())["images"] for split in SPLITS}
    return {s: sorted(Path(image["file_name"]).stem for image in rows) for s, rows in files.items()}


def _boxes(tmp_path: Path, objects: list[Object], **changes: Any) -> tuple[Any, Any]:
    """Convert three images, the first with ``objects``; return report and its annotations."""
    _pairs(tmp_path / "voc", ["p", "q", "r"], ("xml", "img"))
    _xml(tmp_path / "voc/xml/p.xml", objects, "p.png", **changes)
    report = convert_voc(tmp_path / "voc", tmp_path / "out")
    for split in SPLITS:
        coco = json.loads((tmp_path / f"out/{split}.json").read_text())
        for image in coco["images"]:
            if image["file_name"] == "p.png":
                rows = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
                return report, [(report.classes[a["category_id"]], a) for a in rows]
    raise AssertionError("p.png was not written")


def test_inclusive_pixels_from_1_become_continuous_ones_from_0(tmp_path):
    report, rows = _boxes(tmp_path, [("dog", (1, 1, 40, 30)), ("cat", (11, 6, 20, 6.5))])
    assert [(name, row["bbox"], row["area"]) for name, row in rows] == [
        ("dog", [0, 0, 40, 30], 1200),
        ("cat", [10, 5, 10, 1.5], 15),
    ]
    assert report.classes == ("cat", "dog")
    assert [report.counts[kind] for kind in ("clipped", "swapped", "dropped", "kept")] == [0, 0, 0, 0]


def test_faulty_boxes_are_mended_or_dropped_and_counted(tmp_path):
    objects: list[Object] = [
        ("a", (0, 1, 10, 10)),  # clipped left
        ("b", (31, 21, 50, 99)),  # clipped right and below
        ("c", (20, 12, 11, 3)),  # swapped
        ("d", (20, 5, 20, 9)),  # no width
        ("e", (41, 1, 60, 10)),  # outside
        ("f", (1, "x", 9, 9)),
        ("", (1, 1, 9, 9)),
        ("g", (1, "nan", 9, 9)),
    ]
    report, rows = _boxes(tmp_path, objects)
    assert [(name, row["bbox"]) for name, row in rows] == [
        ("a", [0, 0, 10, 10]),
        ("b", [30, 20, 10, 10]),
        ("c", [10, 2, 10, 10]),
    ]
    assert [report.counts[kind] for kind in ("clipped", "swapped", "dropped")] == [2, 1, 5]
    assert sum(report.boxes.values()) == 3 + 2
    assert report.classes == ("a", "b", "c", "cat")


def test_the_true_size_comes_from_the_image(tmp_path):
    report, rows = _boxes(tmp_path, [("a", (1, 1, 40, 30))], size=(10, 0))
    assert (report.counts["kept"], report.counts["scaled"]) == (0, 0)  # no size is stated, nothing contradicts
    assert report.counts["clipped"] == 0
    assert rows[0][1]["bbox"] == [0, 0, 40, 30]


def test_annotations_of_several_folders_are_told(tmp_path):
    _pairs(tmp_path / "voc", ["a", "b", "c"], ("v1/Annotations", "v1/JPEGImages"))
    alone = convert_voc(tmp_path / "voc", tmp_path / "one")
    assert (sum(alone.images.values()), "taken together" in str(alone)) == (3, False)
    _pairs(tmp_path / "voc", ["a", "b"], ("v2/Annotations", "v2/JPEGImages"))
    assert "annotations of 2 folders are taken together: v1/Annotations (3); v2/Annotations (2)" in str(
        convert_voc(tmp_path / "voc", tmp_path / "two")
    )


def test_difficult_objects_are_ignored_not_crowds(tmp_path):
    report, rows = _boxes(tmp_path, [("a", (1, 1, 9, 9)), ("b", (3, 3, 9, 9))], difficult=1)
    assert report.counts["difficult"] == 2
    assert [(row["ignore"], row["iscrowd"]) for _, row in rows] == [(1, 0), (1, 0)]


def test_three_lists_are_the_three_splits(tmp_path):
    lists = {"train": ["000", "001 1", "002.png"], "val": ["003", "004"], "test": ["005", "gone"]}
    _classic(tmp_path / "voc", lists | {"trainval": ["000", "003"], "cat_train": ["009"]})
    report = convert_voc(tmp_path / "voc", tmp_path / "out")
    assert _names(tmp_path / "out") == {
        "train": ["000", "001", "002"],
        "selection": ["003", "004"],
        "test": ["005"],
    }
    assert report.origin == "lists"
    assert report.images == {"train": 3, "selection": 2, "test": 1}
    assert report.boxes == {"train": 3, "selection": 2, "test": 1}
    assert report.counts["unlisted"] == 4


@pytest.mark.parametrize("train", ["train", "trainval"])
@pytest.mark.parametrize("test", ["test", "val"])
def test_two_lists_keep_the_second_for_the_report(tmp_path, train, test):
    stems = [f"{number:03d}" for number in range(10)]
    _classic(tmp_path / "voc", {train: stems[:8], test: stems[8:]})
    chosen = {}
    for seed in (0, 0, 1, 2):
        out = tmp_path / f"out{len(chosen)}"
        assert convert_voc(tmp_path / "voc", out, seed).origin == "lists"
        chosen[out.name] = names = _names(out)
        assert names["test"] == ["008", "009"]
        assert [len(names[split]) for split in SPLITS] == [6, 2, 2]
        assert sorted(names["train"] + names["selection"]) == stems[:8]
    selections = [names["selection"] for names in chosen.values()]
    assert selections[0] == selections[1]
    assert len({tuple(names) for names in selections}) > 1


def test_a_missing_train_list_is_taken_from_val(tmp_path):
    stems = [f"{number:03d}" for number in range(10)]
    _classic(tmp_path / "voc", {"val": stems[:8], "test": stems[8:]})
    convert_voc(tmp_path / "voc", tmp_path / "out")
    names = _names(tmp_path / "out")
    assert names["test"] == ["008", "009"]
    assert [len(names[split]) for split in SPLITS] == [6, 2, 2]


def test_without_lists_the_seed_deals_60_20_20(tmp_path):
    _classic(tmp_path / "voc", {}, count=20)
    outs = [tmp_path / name for name in "abc"]
    for out, seed in zip(outs, (0, 0, 1), strict=True):
        report = convert_voc(tmp_path / "voc", out, seed)
        assert report.origin == "random"
        assert report.images == {"train": 12, "selection": 4, "test": 4}
    first, again, other = map(_names, outs)
    assert sorted(chain.from_iterable(first.values())) == [f"{number:03d}" for number in range(20)]
    assert first == again
    assert first != other


def test_folders_named_after_splits_decide(tmp_path):
    for folder, names in (("Train", "ab"), ("valid", "c"), ("test", "de")):
        _pairs(tmp_path / "voc" / folder, names, (".", "."))
    report = convert_voc(tmp_path / "voc", tmp_path / "out")
    assert report.origin == "folders"
    assert _names(tmp_path / "out") == {
        "train": ["a", "b"], "selection": ["c"], "test": ["d", "e"],
    }  # fmt: skip


def test_any_folder_names_suffixes_and_masks_of_the_same_stem(tmp_path):
    root = tmp_path / "voc"
    for gray, name in enumerate("pqr"):
        _xml(root / f"my labels/deep/{name}.XML", [("cat", (5, 5, 20, 20))])
        _image(root / f"photos/{name}.JPG", gray)
        _image(root / f"SegmentationClass/{name}.png", 200)
        (root / f"my labels/deep/._{name}.xml").write_bytes(b"\0\1")
    _xml(root / "my labels/s-label.xml", [("dog", (1, 1, 9, 9))], r"C:\photos\s.jpeg")
    _image(root / "photos/s.jpeg", 3)
    report = convert_voc(root, tmp_path / "out")
    assert sum(report.images.values()) == 4
    assert report.left_out == ()
    copied = {path.name: path.read_bytes() for path in (tmp_path / "out/images").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in (root / "photos").iterdir()}


def test_same_names_in_different_folders_stay_apart(tmp_path):
    root = tmp_path / "voc"
    for gray, part in enumerate(("one", "two", "three")):
        _pairs(root / part, ["001"], ("ann", "img"))
        _image(root / part / "img/001.png", 10 * gray)
    convert_voc(root, tmp_path / "out")
    grays = {path.name: int(cv2.imread(str(path))[0, 0, 0]) for path in (tmp_path / "out/images").iterdir()}
    assert grays == {"one_img_001.png": 0, "two_img_001.png": 10, "three_img_001.png": 20}
    assert sorted(chain.from_iterable(_names(tmp_path / "out").values())) == sorted(n[:-4] for n in grays)


def test_broken_files_and_missing_images_are_reported(tmp_path):
    names = _classic(tmp_path / "voc", {})
    folder = tmp_path / "voc/Annotations"
    (folder / f"{names[0]}.xml").write_text("<annotation><object>")
    (folder / f"{names[1]}.xml").write_text("<html></html>")
    (tmp_path / f"voc/JPEGImages/{names[2]}.png").unlink()
    (tmp_path / f"voc/JPEGImages/{names[3]}.png").write_text("no image")
    report = convert_voc(tmp_path / "voc", tmp_path / "out")
    assert [line.split()[0] for line in report.left_out] == [f"Annotations/{name}.xml" for name in names[:4]]
    for reason, line in zip(
        ("broken XML", "no VOC annotation", "no image", "cannot be decoded"), report.left_out, strict=True
    ):
        assert reason in line
    assert sum(report.images.values()) == 6


def test_the_result_loads_and_images_without_objects_stay(tmp_path):
    names = _classic(tmp_path / "voc", {"train": ["000", "001"], "val": ["002"], "test": ["003"]})
    _xml(tmp_path / f"voc/Annotations/{names[0]}.xml", [])
    _xml(tmp_path / f"voc/Annotations/{names[3]}.xml", [("dog", (2, 3, 11, 22))])
    report = convert_voc(tmp_path / "voc", tmp_path / "out")
    splits = [load_split(tmp_path / f"out/{s}.json", tmp_path / "out/images") for s in SPLITS]
    assert [split.classes for split in splits] == [("cat", "dog")] * 3 == [report.classes] * 3
    assert [len(record.boxes) for record in splits[0].images] == [0, 1]
    (dog,) = splits[2].images
    assert dog.boxes.tolist() == [[1, 2, 11, 22]]
    assert dog.labels.tolist() == [1]


def test_folders_that_cannot_be_converted(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="got no object in 0 images, wanted Pascal VOC"):
        convert_voc(tmp_path / "empty", tmp_path / "out")
    _classic(tmp_path / "two", {}, count=2)
    with pytest.raises(DataError, match="got 2 images to split, wanted 3"):
        convert_voc(tmp_path / "two", tmp_path / "out")
    _classic(tmp_path / "both", {"train": ["000", "001"], "val": ["002"], "test": ["001"]})
    with pytest.raises(DataError, match=r"001.xml in both train and test \(1 files"):
        convert_voc(tmp_path / "both", tmp_path / "out")
    _classic(tmp_path / "twice", {})
    _xml(tmp_path / "twice/old/000.xml", [("cat", (1, 1, 9, 9))])
    with pytest.raises(DataError, match=r"both annotate .*000.png"):
        convert_voc(tmp_path / "twice", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/note.txt").write_text("mine")
    with pytest.raises(DataError, match="holds files already"):
        convert_voc(tmp_path / "twice", tmp_path / "out")
