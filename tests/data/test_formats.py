from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from detkds_gp.data.coco import read_splits
from detkds_gp.data.discover import Choice, FoundData
from detkds_gp.data.formats import data_in
from detkds_gp.data.voc import convert_voc
from detkds_gp.errors import DataError

from .made_layouts import CLASSES, coco, draw, label, names, objects_on_their_blocks, split, voc, xml


def _roboflow_coco(root: Path) -> None:
    for start, part, count in ((0, "train", 6), (10, "valid", 3), (20, "test", 3)):
        found = [name.replace(".png", "_png.rf.0a1b2c.png") for name in names("img", count)]
        split(root, f"{part}/_annotations.coco.json", part, found, start)
    (root / "README.roboflow.txt").write_text("trains - v1\nProvided by a Roboflow user\n")


def _roboflow_voc(root: Path) -> None:
    for start, part, count in ((0, "train", 6), (10, "valid", 3), (20, "test", 3)):
        voc(root, count, folders=(part, part), start=start)


def _roboflow_yolo(root: Path) -> None:
    for start, part, count in ((0, "train", 6), (10, "valid", 3), (20, "test", 3)):
        for number, name in enumerate(names("img", count), start=start):
            draw(root / part / "images" / name, number)
            path = root / part / "labels" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".txt").write_text(label(number))
    where = {"train": "../train/images", "val": "../valid/images", "test": "../test/images"}
    source = {"workspace": "me", "project": "trains", "version": 1}
    (root / "data.yaml").write_text(yaml.safe_dump({**where, "nc": 3, "names": list(CLASSES), "roboflow": source}))


def _cvat_coco(root: Path) -> None:
    split(root, "annotations/instances_default.json", "images", names("frame", 12))
    coco(root / "annotations/person_keypoints_default.json", names("frame", 12), range(12))


def _cvat_coco_subsets(root: Path) -> None:
    for start, part, count in ((0, "Train", 6), (10, "Validation", 3), (20, "Test", 3)):
        split(root, f"annotations/instances_{part}.json", f"images/{part}", names("frame", count), start)


def _cvat_yolo(root: Path) -> None:
    for start, part, count in ((0, "train", 6), (10, "val", 3), (20, "test", 3)):
        for number, name in enumerate(names(part, count), start=start):
            draw(root / "images" / part / name, number)
            path = (root / "labels" / part / name).with_suffix(".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(label(number))
        (root / f"{part}.txt").write_text("\n".join(f"images/{part}/{name}" for name in names(part, count)))
    lists = {part: f"{part}.txt" for part in ("train", "val", "test")}
    (root / "data.yaml").write_text(yaml.safe_dump({"path": "./", **lists, "names": dict(enumerate(CLASSES))}))


def _cvat_voc(root: Path) -> None:
    voc(root, 12)
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\ncat:128,0,0::\n")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "default.txt").write_text("\n".join(f"{n:03d}" for n in range(12)))


def _label_studio_coco(root: Path) -> None:
    found = names("3f2a-task", 12)
    for number, name in enumerate(found):
        draw(root / "images" / name, number)
    coco(root / "result.json", [f"images/{name}" for name in found], range(12), first_id=0)


def _label_studio_yolo(root: Path) -> None:
    for number, name in enumerate(names("task", 12)):
        draw(root / "images" / name, number)
        path = (root / "labels" / name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(label(number))
    (root / "classes.txt").write_text("\n".join(CLASSES))
    (root / "notes.json").write_text(json.dumps({"categories": [{"id": 0, "name": "cat"}], "info": {}}))


def _labelme(root: Path) -> None:
    """What labelme2coco leaves: one file, beside labelme's own pages and their images."""
    found = names("shot", 12)
    split(root, "trainval.json", ".", found)
    for name in found:
        page = {"version": "5.0", "shapes": [], "imagePath": name, "imageHeight": 32, "imageWidth": 48}
        (root / name).with_suffix(".json").write_text(json.dumps(page))


def _labelme_split(root: Path) -> None:
    for start, part in ((0, "train"), (10, "val")):
        split(root, f"{part}.json", "photos", names(part, 6), start)


def _kaggle_voc(root: Path) -> None:
    voc(root / "archive", 12, folders=("annotations", "images"))
    (root / "archive" / "dataset-metadata.json").write_text(
        json.dumps({"title": "signs", "licenses": [{"name": "CC0"}]})
    )


def _kaggle_coco(root: Path) -> None:
    for start, part, count in ((0, "train", 6), (10, "val", 3), (20, "test", 3)):
        split(root, f"signs/signs/{part}/{part}.json", f"signs/signs/{part}/images", names(part, count), start)


def _kaggle_yolo(root: Path) -> None:
    _roboflow_yolo(root / "Signs [v2] (yolo)")


def _ultralytics(root: Path) -> None:
    for start, part, count in ((0, "train2017", 6), (10, "val2017", 6)):
        for number, name in enumerate(names(part, count), start=start):
            draw(root / "images" / part / name, number)
            path = (root / "labels" / part / name).with_suffix(".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(label(number))
    where = {"path": "../datasets/coco8", "train": "images/train2017", "val": "images/val2017", "test": None}
    (root / "coco8.yaml").write_text(yaml.safe_dump({**where, "names": dict(enumerate(CLASSES)), "download": "x.zip"}))


def _coco_itself(root: Path) -> None:
    for start, part, count in ((0, "train2017", 6), (10, "val2017", 6)):
        split(root, f"annotations/instances_{part}.json", part, names("0000", count), start)
        coco(root / f"annotations/person_keypoints_{part}.json", names("0000", count), range(count))
    (root / "annotations/image_info_test2017.json").write_text(json.dumps({"images": [{"id": 1}], "categories": []}))


LAYOUTS: dict[str, tuple[Callable[[Path], None], tuple[int, int, int]]] = {
    "Roboflow COCO": (_roboflow_coco, (6, 3, 3)),
    "Roboflow VOC": (_roboflow_voc, (6, 3, 3)),
    "Roboflow YOLO": (_roboflow_yolo, (6, 3, 3)),
    "CVAT COCO": (_cvat_coco, (8, 2, 2)),
    "CVAT COCO with subsets": (_cvat_coco_subsets, (6, 3, 3)),
    "CVAT YOLO": (_cvat_yolo, (6, 3, 3)),
    "CVAT VOC": (_cvat_voc, (8, 2, 2)),
    "Label Studio COCO": (_label_studio_coco, (8, 2, 2)),
    "Label Studio YOLO": (_label_studio_yolo, (8, 2, 2)),
    "labelme2coco": (_labelme, (8, 2, 2)),
    "labelme2coco, split": (_labelme_split, (6, 3, 3)),
    "Kaggle VOC": (_kaggle_voc, (8, 2, 2)),
    "Kaggle COCO": (_kaggle_coco, (6, 3, 3)),
    "Kaggle YOLO": (_kaggle_yolo, (6, 3, 3)),
    "ultralytics": (_ultralytics, (4, 2, 6)),
    "COCO": (_coco_itself, (6, 3, 3)),
}


def _loaded(found: FoundData) -> dict[str, int]:
    splits = read_splits(found.sources, None)
    paths = [record.path for loaded in splits.values() for record in loaded.images]
    assert len(paths) == len(set(paths))
    return {name: len(loaded.images) for name, loaded in splits.items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_data_sets_are_read_as_they_are_downloaded(name: str, tmp_path: Path) -> None:
    make, wanted = LAYOUTS[name]
    root = tmp_path / "trains-1.v1i"
    make(root)
    found = data_in(root, tmp_path / "search-data")
    assert tuple(_loaded(found).values()) == wanted
    assert set(read_splits(found.sources, None)["train"].classes) == set(CLASSES)
    for part in found.splits.values():
        count, right = objects_on_their_blocks(found.root, part.ann_file, part.images)
        assert count == right > 0
    assert found.notes


def test_a_conversion_is_never_used_for_other_sources(tmp_path: Path) -> None:
    voc(tmp_path / "voc", 6)
    first = data_in(tmp_path / "voc", tmp_path / "search-data")
    marked = first.root / "train.json"
    before = marked.stat().st_mtime_ns
    assert data_in(tmp_path / "voc", tmp_path / "search-data") == first
    assert marked.stat().st_mtime_ns == before  # equal sources: read again
    shutil.copytree(tmp_path / "voc", tmp_path / "moved")
    assert data_in(tmp_path / "moved", tmp_path / "search-data").root == first.root
    voc(tmp_path / "voc", 4, start=6)
    second = data_in(tmp_path / "voc", tmp_path / "search-data")
    assert second.root != first.root
    assert sum(_loaded(second).values()) == 10
    xml(tmp_path / "voc/Annotations/000.xml", "000.png", 5)
    assert data_in(tmp_path / "voc", tmp_path / "search-data").root not in (first.root, second.root)


def test_a_conversion_is_never_used_for_others_that_lie_elsewhere(tmp_path: Path) -> None:
    _ultralytics(tmp_path / "elsewhere")
    home = tmp_path / "home"
    home.mkdir()
    where = yaml.safe_load((tmp_path / "elsewhere/coco8.yaml").read_text())
    (home / "data.yaml").write_text(yaml.safe_dump({**where, "path": str(tmp_path / "elsewhere")}))
    first = data_in(home / "data.yaml", tmp_path / "search-data")
    assert data_in(home / "data.yaml", tmp_path / "search-data") == first
    labels = sorted((tmp_path / "elsewhere/labels").rglob("*.txt"))
    labels[0].write_text(label(5) + label(0))
    second = data_in(home / "data.yaml", tmp_path / "search-data")
    assert second.root != first.root
    draw(labels[1].parents[2] / "images" / labels[1].parent.name / "another.png", 3)
    assert data_in(home / "data.yaml", tmp_path / "search-data").root not in (first.root, second.root)


def test_a_conversion_within_the_folder_is_no_part_of_it(tmp_path: Path) -> None:
    voc(tmp_path, 6)
    found = data_in(tmp_path, tmp_path / "search-data")
    assert found.root.parent == tmp_path
    assert data_in(tmp_path, tmp_path / "search-data") == found


def test_two_formats_are_both_named_and_the_flag_decides(tmp_path: Path) -> None:
    _roboflow_coco(tmp_path / "both")
    voc(tmp_path / "both", 6)
    with pytest.raises(DataError, match=r"COCO \(test/_.*\) and VOC \(Ann.*\); .*--format coco or --format voc"):
        data_in(tmp_path / "both", tmp_path / "search-data")
    for layout, count in (("coco", 6), ("voc", 4)):
        found = data_in(tmp_path / "both", tmp_path / "search-data", Choice(layout))
        assert _loaded(found)["train"] == count
    with pytest.raises(DataError, match="--val-images does not suit VOC"):
        data_in(tmp_path / "both", tmp_path / "x", Choice("voc", images={"val": Path("JPEGImages")}))


def test_two_modalities_of_a_voc_folder(tmp_path: Path) -> None:
    voc(tmp_path / "d", 8, folders=("Annotations", "visible/train"))
    for number in range(8):
        draw(tmp_path / "d" / f"infrared/train/{number:03d}.png", number)
    with pytest.raises(
        DataError,
        match=r"infrared/train/000.png and .*visible/train/000.png \(8 files are so\); .*"
        r"--images \S*/infrared or --images \S*/visible",
    ):
        data_in(tmp_path / "d", tmp_path / "search-data")
    roots = set()
    for folder in ("visible", "infrared"):
        found = data_in(tmp_path / "d", tmp_path / "search-data", Choice(images={"": Path(folder)}))
        roots.add(found.root)
        assert objects_on_their_blocks(found.root, "train.json", "images")[1] > 0
    assert len(roots) == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", '{"shapes": [], "imagePath": "a.png"}', "labelme2coco"),
        ("export.json", '[{"id": 1, "annotations": [], "data": {"image": "x"}}]', "Label Studio's own export"),
        ("annotations.xml", "<annotations><image/></annotations>", "CVAT's own XML"),
        ("labels/a.txt", "0 .5 .5 .1 .1", "a data.yaml"),
        ("train.csv", "image,x,y", "tables"),
        ("notes.md", "", "give the folder that holds them"),
    ],
)
def test_what_else_people_take_for_a_data_set_is_told_with_the_way_from_there(
    name: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "d" / name).parent.mkdir(parents=True)
    (tmp_path / "d" / name).write_text(content)
    with pytest.raises(DataError, match=f"holds no COCO annotation file, nor VOC or YOLO.*{said}"):
        data_in(tmp_path / "d", tmp_path / "search-data")


@pytest.mark.parametrize(("name", "remedy"), [("set.zip", "unpack it first"), ("train.json", "give the folder")])
def test_a_file_in_place_of_a_folder_is_told(name: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=f"got the file .*{name}.*{remedy}"):
        data_in(tmp_path / name, tmp_path / "search-data")


def test_the_yaml_of_a_yolo_folder_may_stand_for_it(tmp_path: Path) -> None:
    _ultralytics(tmp_path / "d")
    found = data_in(tmp_path / "d" / "coco8.yaml", tmp_path / "search-data")
    assert (_loaded(found)["train"], found.name) == (4, "d")


def test_a_yolo_folder_given_for_a_voc_one_is_told(tmp_path: Path) -> None:
    _ultralytics(tmp_path / "d")
    with pytest.raises(DataError, match="it is in YOLO format: gp_search data yolo"):
        convert_voc(tmp_path / "d", tmp_path / "out")
