from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detkds_gp.data.coco import load_split
from detkds_gp.data.conversion import Conversion
from detkds_gp.data.yolo import convert_yolo
from detkds_gp.data.yolo_labels import Labels
from detkds_gp.errors import DataError

from .made_layouts import CLASSES, SIZE, boxes_of, draw, label, names, objects_on_their_blocks

SPLITS = ("train", "selection", "test")


def _pages(root: Path, images: str, labels: str, prefix: str, count: int, start: int = 0) -> list[str]:
    found = names(prefix, count)
    for number, name in enumerate(found, start=start):
        draw(root / images / name, number)
        path = root / labels / Path(name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(label(number))
    return found


def _described(root: Path, **values: object) -> None:
    (root / "data.yaml").write_text(yaml.safe_dump({"names": list(CLASSES), "nc": 3, **values}))


def _three(root: Path, pattern: str = "{kind}/{split}") -> None:
    for start, split in ((0, "train"), (10, "val"), (20, "test")):
        images, labels = (pattern.format(kind=kind, split=split) for kind in ("images", "labels"))
        _pages(root, images, labels, split, 5, start)


def _images(out: Path) -> dict[str, list[str]]:
    return {s: [row["file_name"] for row in json.loads((out / f"{s}.json").read_text())["images"]] for s in SPLITS}


def _converted(root: Path, out: Path) -> Conversion:
    """Convert, and check that every object lies on its block."""
    report = convert_yolo(root, out)
    for split in SPLITS:
        assert objects_on_their_blocks(out, f"{split}.json", "images") == (report.boxes[split],) * 2
    return report


FIVE = {split: names(role, 5) for split, role in zip(SPLITS, ("train", "val", "test"), strict=True)}


@pytest.mark.parametrize(
    ("pattern", "entries"),
    [
        ("{kind}/{split}", {"train": "images/train", "val": "images/val", "test": "images/test"}),
        ("{split}/{kind}", {"train": "../train/images", "val": "../val/images", "test": "../test/images"}),  # Roboflow
        (
            "{split}/{kind}",
            {"train": "/content/set-3/train/images", "val": "C:\\x\\val\\images", "test": "test/images"},
        ),
        ("{split}/{kind}", {"train": ["train/images"], "valid": ["val/images"], "test": ["test"]}),
        (
            "{kind}/{split}",
            {"path": "../datasets/mine", "train": "images/train", "val": "images/val", "test": "images/test"},
        ),
    ],
)
@pytest.mark.parametrize("as_mapping", [True, False])
def test_the_folders_of_a_data_yaml(pattern: str, entries: dict[str, object], as_mapping: bool, tmp_path: Path) -> None:
    root = tmp_path / "mine [1] (2)"
    _three(root, pattern)
    listed = dict(enumerate(CLASSES)) if as_mapping else list(CLASSES)
    _described(root, **{**entries, "names": listed})
    report = _converted(root, tmp_path / "out")
    assert _images(tmp_path / "out") == FIVE
    assert (report.classes, report.origin) == (CLASSES, "data.yaml")
    assert report.boxes == {"train": 10, "selection": 10, "test": 10}
    assert (report.left_out, report.notes[1:], report.counts["without"]) == ((), (), 0)


@pytest.mark.parametrize("beginning", ["", "./", "data/set/"])
def test_lists_of_images(beginning: str, tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    _three(root)
    for split in ("train", "val", "test"):
        lines = [f"{beginning}images/{split}/{name}" for name in names(split, 5)]
        (root / f"{split}.txt").write_text("\n".join([*lines, "images/gone.png", ""]))
    _described(root, path="./", train="train.txt", val="val.txt", test="test.txt")
    report = _converted(root, tmp_path / "out")
    assert _images(tmp_path / "out") == FIVE
    assert report.notes[1:] == tuple(
        f"{split}.txt lists 1 images that are not there" for split in ("train", "val", "test")
    )


def test_cvat_and_darknet(tmp_path: Path) -> None:
    root = tmp_path / "cvat"
    for start, split in ((0, "train"), (10, "valid")):
        found = _pages(root, f"obj_{split}_data", f"obj_{split}_data", split, 5, start)
        (root / f"{split}.txt").write_text("\n".join(f"data/obj_{split}_data/{name}" for name in found))
    (root / "obj.names").write_text("\n".join(CLASSES))
    (root / "obj.data").write_text(
        "classes = 3\nnames = data/obj.names\ntrain = data/train.txt\nvalid = data/valid.txt\nbackup = backup/\n"
    )
    report = _converted(root, tmp_path / "out")
    assert sum(report.images.values()) == 10
    assert _images(tmp_path / "out")["test"] == names("valid", 5)


def test_label_studio_gives_names_alone(tmp_path: Path) -> None:
    root = tmp_path / "studio"
    _pages(root, "images", "labels", "task", 10)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (root / "notes.json").write_text(json.dumps({"categories": [{"id": 0, "name": "cat"}], "info": {"year": 2024}}))
    report = _converted(root, tmp_path / "out")
    assert (report.origin, report.images) == ("random", {"train": 6, "selection": 2, "test": 2})


def test_a_split_that_the_yaml_does_not_name_is_taken_from_its_folder_and_the_rest_is_told(tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    _three(root, "{split}/{kind}")
    _pages(root, "spare/images", "spare/labels", "spare", 2, 30)
    _described(root, train="train/images", val="val/images", test="nowhere/images")
    report = _converted(root, tmp_path / "out")
    assert _images(tmp_path / "out") == FIVE
    assert report.notes[1:] == (
        "data.yaml names nowhere/images for test, which is not there",
        "data.yaml has no test: taken are 5 images of folders called so",
        "left out: 2 images that data.yaml names for no split",
    )


def _one(tmp_path: Path, lines: str, **values: object) -> tuple[Conversion, list[dict]]:
    """Convert three images, the first with these lines, and return its annotations."""
    root = tmp_path / "yolo"
    _pages(root, "images", "labels", "p", 3)
    (root / "labels" / "p_00.txt").write_text(lines, encoding="utf-8")
    _described(root, train="images", **values)
    report = convert_yolo(root, tmp_path / "out")
    for split in SPLITS:
        content = json.loads((tmp_path / "out" / f"{split}.json").read_text())
        for image in content["images"]:
            if image["file_name"] == "p_00.png":
                return report, [row for row in content["annotations"] if row["image_id"] == image["id"]]
    raise AssertionError("p_00.png was not written")


def test_polygons_become_segmentations_with_their_own_area(tmp_path: Path) -> None:
    width, height = SIZE
    triangle = np.array([[4, 4], [28, 4], [4, 20]], float)
    polygon = " ".join(f"{value:.8f}" for value in (triangle / SIZE).ravel())
    report, (row,) = _one(tmp_path, f"\ufeff1 {polygon}\n")
    assert row["category_id"] == 1
    assert row["segmentation"][0] == pytest.approx(triangle.ravel().tolist(), abs=1e-4)
    assert row["bbox"] == pytest.approx([4, 4, 24, 16], abs=1e-4)
    assert row["area"] == pytest.approx(24 * 16 / 2, abs=1e-2)
    assert report.counts["polygons"] == 1
    split = next(s for s in SPLITS if "p_00.png" in _images(tmp_path / "out")[s])
    loaded = load_split(tmp_path / f"out/{split}.json", tmp_path / "out/images")
    first = next(record for record in loaded.images if record.path.name == "p_00.png")
    assert first.masks[0] == row["segmentation"]
    assert (first.width, first.height) == (width, height)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("3 .5 .5 .2 .2", "class 3, wanted 0 to 2"),
        ("-1 .5 .5 .2 .2", "class -1"),
        ("0.5 .5 .5 .2 .2", "class 0.5"),
        ("cat .5 .5 .2 .2", "not all numbers"),
        ("0 24 16 10 10", "coordinate 24, wanted shares of the image"),
        ("0 .5 .5 .2", "4 numbers, wanted 5 of a box"),
        ("0 .5 .5 .2 .2 .9", "6 numbers"),
        ("0 .5 nan .2 .2", "not finite"),
        ("0,.5,.5,.2,.2", "not all numbers"),
    ],
)
def test_broken_lines_are_named_with_file_and_line_and_the_rest_is_read(line: str, reason: str, tmp_path: Path) -> None:
    report, rows = _one(tmp_path, f"0 .5 .5 .25 .25\n\n{line}\n1 .25 .25 .25 .25\n")
    assert [row["category_id"] for row in rows] == [0, 1]
    (broken,) = report.left_out
    assert broken.startswith("labels/p_00.txt:3 (")
    assert reason in broken
    assert broken in str(report)
    assert broken in (tmp_path / "out" / "conversion.txt").read_text()


def test_what_is_mended_or_dropped_is_counted(tmp_path: Path) -> None:
    lines = ["0 .5 .5 .25 .25", "0  .5 .5 .25 .25 ", "1 .05 .5 .2 .2", "2 .5 .5 0 .2", "2 .1 .1 .2 .1 .3 .1"]
    report, rows = _one(tmp_path, "\n".join(lines))
    assert [row["category_id"] for row in rows] == [0, 1]
    assert rows[1]["bbox"] == pytest.approx([0, 0.4 * SIZE[1], 0.15 * SIZE[0], 0.2 * SIZE[1]])
    assert {key: count for key, count in report.counts.items() if count} == {"repeated": 1, "clipped": 1, "flat": 2}


def test_key_points_are_left_out_aloud(tmp_path: Path) -> None:
    report, (row,) = _one(tmp_path, "0 .5 .5 .25 .25 .4 .4 2 .6 .6 2", kpt_shape=[2, 3])
    assert row["bbox"] == pytest.approx([18, 12, 12, 8])
    assert "segmentation" not in row
    assert "key points of 1 objects left out" in str(report)


def test_images_without_a_label_file_have_no_objects(tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    _three(root)
    (root / "labels/train/train_00.txt").unlink()
    (root / "labels/train/train_01.txt").write_text("")
    _described(root, train="images/train", val="images/val", test="images/test")
    report = _converted(root, tmp_path / "out")
    assert (report.images["train"], report.boxes["train"], report.counts["without"]) == (5, 6, 1)


def test_classes_that_no_object_has_keep_their_number(tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    _three(root)
    _described(root, train="images/train", val="images/val", test="images/test", names=[*CLASSES, "yak"], nc=5)
    report = convert_yolo(root, tmp_path / "out")
    assert report.classes == (*CLASSES, "yak")
    assert report.notes[1:] == ("data.yaml says nc: 5, but has 4 names",)
    rows = json.loads((tmp_path / "out/train.json").read_text())["annotations"]
    assert [row["category_id"] for row in rows[:2]] == [CLASSES.index(name) for name, *_ in boxes_of(0)]


def test_images_that_cannot_be_decoded_are_named(tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    _three(root)
    (root / "images/train/train_00.png").write_text("no image")
    _described(root, train="images/train", val="images/val", test="images/test")
    report = _converted(root, tmp_path / "out")
    assert report.left_out == ("images/train/train_00.png",)
    assert report.images["train"] == 4


def test_folders_that_cannot_be_converted(tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    _three(root)
    with pytest.raises(DataError, match="no file names its classes"):
        convert_yolo(root, tmp_path / "out")
    for names_, fault in (
        (["cat", "cat"], "hold 'cat' twice"),
        ([], "are empty"),
        ({1: "a"}, "a mapping of 0, 1"),
        (3, "wanted a list"),
    ):
        _described(root, train="images/train", names=names_)
        with pytest.raises(DataError, match=fault):
            convert_yolo(root, tmp_path / "out")
    _described(root, train="other/train")
    with pytest.raises(DataError, match="names other/train for train, which is not there"):
        convert_yolo(root, tmp_path / "out")
    (root / "data.yaml").write_text("names: [a\n")
    with pytest.raises(DataError, match="broken YAML"):
        convert_yolo(root, tmp_path / "out")
    _described(root, train="images/train", val="images/train")
    with pytest.raises(DataError, match="in both train and val"):
        convert_yolo(root, tmp_path / "out")
    _described(root, train="images/train")
    (root / "copy").mkdir()
    (root / "copy" / "coco.yaml").write_text((root / "data.yaml").read_text())
    with pytest.raises(DataError, match=r"coco.yaml and .*data.yaml both name classes.*give that file"):
        convert_yolo(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert sum(convert_yolo(root / "data.yaml", tmp_path / "out").images.values()) == 15
    with pytest.raises(DataError, match="holds files already"):
        convert_yolo(root / "data.yaml", tmp_path / "out")


def test_labels_that_are_all_missing_or_broken_are_an_error(tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    for number, name in enumerate(names("a", 4)):
        draw(root / "images" / name, number)
    _described(root, train="images")
    with pytest.raises(DataError, match=r"no object in 4 images \(4 without a label file\), wanted labels/\*.txt"):
        convert_yolo(root, tmp_path / "out")
    for name in names("a", 4):
        (root / "images" / name).with_suffix(".txt").write_text("9 .5 .5 .1 .1\n")
    with pytest.raises(DataError, match=r"broken: images/a_00.txt:1 \(class 9"):
        convert_yolo(root, tmp_path / "out")


NUMBER = st.one_of(
    st.floats(-0.2, 1.2).map("{:.4f}".format),
    st.sampled_from(["0", "1", "2", "3", "nan", "inf", "1e400", "-1", "x", "0,5", "½", "۳", "0x1", ""]),
)
LINE = st.one_of(
    st.lists(NUMBER, max_size=10).map(" ".join),
    st.text(alphabet="01 .\t\x0b\x1c\u2028-e", max_size=20),
    st.text(max_size=12),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(LINE, max_size=6))
def test_every_line_is_an_object_or_is_counted(lines: list[str]) -> None:
    labels = Labels(CLASSES)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        objects = labels.read(path, "a.txt", SIZE)
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    written = [line for line in text.splitlines() if line.split()]
    dropped = labels.counts["repeated"] + labels.counts["flat"]
    assert len(objects) + len(labels.broken) + dropped == len(written)
    for found in objects:
        x, y, width, height = found.bbox
        assert found.name in CLASSES
        assert min(width, height) > 0
        assert -1e-6 <= x <= x + width <= SIZE[0] + 1e-6
        assert -1e-6 <= y <= y + height <= SIZE[1] + 1e-6


SHARE = st.floats(0.05, 0.45)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), SHARE, SHARE, SHARE, SHARE), min_size=1, max_size=5, unique=True))
def test_boxes_come_back(boxes: list[tuple[int, float, float, float, float]]) -> None:
    lines = [f"{label} {x + w / 2:.8f} {y + h / 2:.8f} {w:.8f} {h:.8f}" for label, x, y, w, h in boxes]
    labels = Labels(CLASSES)
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_text("\n".join(dict.fromkeys(lines)))
        objects = labels.read(Path(folder) / "a.txt", "a.txt", SIZE)
    wanted = dict(zip(lines, boxes, strict=True)).values()
    assert [found.name for found in objects] == [CLASSES[label] for label, *_ in wanted]
    for found, (_, x, y, w, h) in zip(objects, wanted, strict=True):
        assert found.bbox == pytest.approx([x * SIZE[0], y * SIZE[1], w * SIZE[0], h * SIZE[1]], abs=1e-5)
    assert not labels.counts["clipped"]
