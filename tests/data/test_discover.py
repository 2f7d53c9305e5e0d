from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from detkds_gp.data.coco import load_split, read_splits
from detkds_gp.data.discover import Choice, FoundData, find_data
from detkds_gp.errors import DataError

from .made_layouts import coco, draw, names, split


def _taken(found: FoundData) -> dict[str, tuple[str, str]]:
    return {name: (part.ann_file, part.images) for name, part in found.splits.items()}


def _three(root: Path, files: tuple[str, str, str] = ("train.json", "val.json", "test.json")) -> None:
    for position, (file, prefix) in enumerate(zip(files, ("train", "val", "test"), strict=True)):
        split(root, file, "images", names(prefix, 4), 10 * position)


@pytest.mark.parametrize(
    "files",
    [
        ("devanagari_train.json", "devanagari_val.json", "devanagari_test.json"),
        ("labels/train-wagons_train.json", "labels/train-wagons_val.json", "labels/train-wagons_test.json"),
        ("Training.json", "Validation.json", "Testing.json"),
        ("trains/train/a.json", "trains/dev/a.json", "trains/test/a.json"),
    ],
)
def test_whole_words_decide_which_file_is_which_split(files: tuple[str, str, str], tmp_path: Path) -> None:
    _three(tmp_path, files)
    taken = _taken(find_data(tmp_path))
    assert [taken[name][0] for name in ("train", "selection", "test")] == list(files)


def test_two_files_of_one_split_are_both_named_and_the_flag_decides(tmp_path: Path) -> None:
    _three(tmp_path)
    split(tmp_path, "old/train.json", "images", names("train", 3))
    with pytest.raises(DataError, match=r"(old/)?train.json and (old/)?train.json both name train; .*--train-json"):
        find_data(tmp_path)
    for chosen in ("old/train.json", "train.json"):
        found = find_data(tmp_path, Choice(json={"train": Path(chosen)}))
        assert found.splits["train"].ann_file == chosen
        assert f"train: {chosen}, its images in images" in found.notes


def test_files_that_name_no_split_are_never_guessed(tmp_path: Path) -> None:
    split(tmp_path, "a.json", "images", names("a", 4))
    split(tmp_path, "b.json", "images", names("b", 4), 10)
    with pytest.raises(DataError, match=r"names train alone \(a.json, b.json\); .*--train-json"):
        find_data(tmp_path)
    found = find_data(tmp_path, Choice(json={"train": Path("b.json"), "val": tmp_path / "a.json"}))
    assert _taken(found) == {
        "train": ("b.json", "images"), "selection": ("a.json", "images"), "test": ("a.json", "images"),
    }  # fmt: skip
    assert "a.json is halved into selection and test" in found.notes


def test_a_file_that_is_not_used_is_named(tmp_path: Path) -> None:
    _three(tmp_path)
    split(tmp_path, "extra.json", "images", names("extra", 2), 30)
    assert "not used: extra.json; --train-json, --val-json or --test-json takes it" in find_data(tmp_path).notes


def test_cocos_own_files_for_other_tasks_step_back(tmp_path: Path) -> None:
    for year in ("train2017", "val2017"):
        split(tmp_path, f"annotations/instances_{year}.json", year, names(year, 4))
        coco(tmp_path / f"annotations/person_keypoints_{year}.json", names(year, 4), range(4))
        captions = {"images": [{"id": 1}], "annotations": [{"id": 1, "caption": "a cat"}], "categories": []}
        (tmp_path / f"annotations/captions_{year}.json").write_text(json.dumps(captions))
    found = find_data(tmp_path)
    assert _taken(found)["train"] == ("annotations/instances_train2017.json", "train2017")
    assert "not used: annotations/person_keypoints_train2017.json, beside instances_*" in found.notes


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"annotations": []}, "val.json has 4 images and no annotation"),
        ({"images": []}, "val.json names no images"),
        (None, "val.json is broken JSON"),
    ],
)
def test_a_split_that_cannot_be_used_is_an_error_and_not_passed_over(
    content: dict[str, list[object]] | None, fault: str, tmp_path: Path
) -> None:
    _three(tmp_path)
    path = tmp_path / "val.json"
    path.write_text("{" if content is None else json.dumps(json.loads(path.read_text()) | content))
    with pytest.raises(DataError, match=f"{fault}.*--val-json"):
        find_data(tmp_path)
    assert find_data(tmp_path, Choice(json={"val": Path("test.json")})).splits["selection"].ann_file == "test.json"


def test_equal_names_in_the_folders_of_the_splits(tmp_path: Path) -> None:
    for folder, count, start in (("Test", 5, 20), ("Train", 8, 0), ("Validation", 5, 10)):
        split(tmp_path, f"annotations/instances_{folder}.json", f"images/{folder}", names("frame", count), start)
    assert {name: part.images for name, part in find_data(tmp_path).splits.items()} == {
        "train": "images/Train", "selection": "images/Validation", "test": "images/Test",
    }  # fmt: skip


def test_two_modalities_are_both_named_and_the_flag_decides(tmp_path: Path) -> None:
    for prefix, start in (("train", 0), ("val", 10), ("test", 20)):
        split(tmp_path, f"annotations/{prefix}.json", f"visible/{prefix}", names("frame", 4), start)
        for name in names("frame", 4):
            draw(tmp_path / "infrared" / prefix / name, 90)
    with pytest.raises(DataError, match=r"infrared/train and in .*visible/train; .*--images .*infrared$"):
        find_data(tmp_path)
    found = find_data(tmp_path, Choice(images={"": Path("visible")}))
    assert [part.images for part in found.splits.values()] == ["visible/train", "visible/val", "visible/test"]
    mixed = find_data(tmp_path, Choice(images={"": Path("visible"), "test": tmp_path / "infrared"}))
    assert [part.images for part in mixed.splits.values()] == ["visible/train", "visible/val", "infrared/test"]
    with pytest.raises(DataError, match="--images got 'thermal', no such folder"):
        find_data(tmp_path, Choice(images={"": Path("thermal")}))


def test_flags_are_paths_in_the_data_set_or_from_here_however_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "real" / "set"
    for prefix, start in (("train", 0), ("val", 10), ("test", 20)):
        split(root, f"a/{prefix}.json", f"visible/{prefix}", names("frame", 4), start)
        split(root, f"b/{prefix}.json", f"infrared/{prefix}", names("frame", 4), start)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    for base in (Path("real/set"), Path("link/set"), root, Path("real/../link/set")):
        for start in (Path(), Path("real/set"), Path("link/set"), root, tmp_path / "link" / "set"):
            files = {part: start / f"a/{part}.json" for part in ("train", "val", "test")}
            found = find_data(base, Choice(json=files, images={"": start / "visible"}))
            assert _taken(found) == {
                name: (f"a/{part}.json", f"visible/{part}")
                for name, part in (("train", "train"), ("selection", "val"), ("test", "test"))
            }
            assert sum("not used: b/" in note for note in found.notes) == 3


def test_the_folder_of_the_annotation_file_counts_before_a_copy(tmp_path: Path) -> None:
    split(tmp_path, "train/_annotations.coco.json", "train", names("a", 4))
    split(tmp_path, "valid/_annotations.coco.json", "valid", names("b", 4), 10)
    for name in names("a", 4):
        draw(tmp_path / "preview" / name, 0)
    assert find_data(tmp_path).splits["train"].images == "train"


def test_folders_that_are_links_are_found_and_a_link_is_no_second_reading(tmp_path: Path) -> None:
    for prefix, start in (("train", 0), ("val", 10), ("test", 20)):
        split(tmp_path / "store", f"ann/{prefix}.json", "pix", names(prefix, 4), start)
    root = tmp_path / "root"
    root.mkdir()
    (root / "annotations").symlink_to(tmp_path / "store" / "ann")
    (root / "images").symlink_to(tmp_path / "store" / "pix")
    (root / "train2017").symlink_to(root / "images")
    found = find_data(root)
    assert _taken(found)["train"] == ("annotations/train.json", "images")
    assert len(load_split(root / "annotations/val.json", root / "images").images) == 4


@pytest.mark.parametrize("folder", ["my data (1)", "[v2] a+b*c", "ünïcode dátå"])
def test_any_folder_name_is_a_folder(folder: str, tmp_path: Path) -> None:
    _three(tmp_path / folder)
    assert _taken(find_data(tmp_path / folder))["train"] == ("train.json", "images")


@pytest.mark.parametrize("written", ["images\\{}", ".\\images\\{}", "images/{}", "./images/{}"])
def test_names_with_backslashes_and_folders_start_from_the_right_place(written: str, tmp_path: Path) -> None:
    from detkds_gp.data.coco_layout import ImageTree, image_folder
    from detkds_gp.data.folders import files_below

    split(tmp_path, "train.json", "images", names("a", 3))
    tree = ImageTree(tmp_path, files_below(tmp_path))
    named = [written.format(name) for name in names("a", 3)]
    assert image_folder(tree, tmp_path / "train.json", named, "train", None) == tmp_path


def _named(tmp_path: Path, rename: Callable[[str], str]) -> None:
    split(tmp_path, "train.json", "images", names("a", 3))
    coco(tmp_path / "train.json", [rename(name) for name in names("a", 3)], range(3))


@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda name: f"/home/me/{name}", "take what stands before it out of 'file_name'"),
        (lambda name: f"C:\\pics\\{name}", "take what stands before it out of 'file_name'"),
        (lambda name: name.upper(), "upper and lower case count"),
        (lambda name: f"sub\\gone_{name}", "a backslash"),
        (lambda name: f"gone_{name}", "is in no folder below .*--images"),
    ],
)
def test_images_that_are_nowhere_are_told_with_what_would_help(
    rename: Callable[[str], str], said: str, tmp_path: Path
) -> None:
    _named(tmp_path, rename)
    with pytest.raises(DataError, match=said):
        find_data(tmp_path)


def test_some_missing_images_are_counted(tmp_path: Path) -> None:
    split(tmp_path, "train.json", "images", names("a", 6))
    for name in names("a", 2):
        (tmp_path / "images" / name).unlink()
    with pytest.raises(DataError, match="images are missing"):
        read_splits(find_data(tmp_path).sources, None)
