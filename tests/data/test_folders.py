from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from detkds_gp.data.folders import CONVERSION, files_below, parting, shared_words, splits_of, words_of
from detkds_gp.errors import DataError


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("devanagari_train", "train"),
        ("devanagari_val", "val"),
        ("trains-1.v1i.coco/valid/_annotations.coco", "val"),
        ("annotations/instances_Train2017", "train"),
        ("trainSet", "train"),
        ("TEST_labels", "test"),
        ("train/test/labels", "test"),
        ("latest", ""),
        ("contrails", ""),
        ("evaluation", ""),
        ("trainval", "train val"),
        ("dev_test", "test val"),
        ("test_images/anything", "test"),
    ],
)
def test_whole_words_name_a_split_and_the_last_part_that_does_decides(path: str, wanted: str) -> None:
    assert sorted(splits_of(PurePosixPath(path))) == wanted.split()


def test_what_all_names_share_is_known() -> None:
    assert shared_words(["test_bench_train_v2", "test_bench_val_v2"]) == ["test", "bench", "v"]
    assert shared_words(["train"]) == []
    assert words_of("été-Ünder_2") == ["été", "ünder"]


def test_links_to_folders_are_entered_once_and_loops_end(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    (real / "deep").mkdir(parents=True)
    (real / "deep" / "a.png").write_text("")
    root = tmp_path / "root"
    (root / "own").mkdir(parents=True)
    (root / "own" / "b.png").write_text("")
    (root / "images").symlink_to(real)
    (root / "again").symlink_to(root / "own")
    (real / "deep" / "up").symlink_to(root)
    (root / ".hidden").mkdir()
    (root / ".hidden" / "c.png").write_text("")
    (root / "._d.png").write_text("")
    (root / "gone.png").symlink_to(tmp_path / "nothing")
    assert [path.relative_to(root).as_posix() for path in files_below(root)] == ["images/deep/a.png", "own/b.png"]


def test_what_a_conversion_wrote_is_no_part_of_the_folder_around_it(tmp_path: Path) -> None:
    (tmp_path / "search-data").mkdir()
    for name in ("train.json", CONVERSION):
        (tmp_path / "search-data" / name).write_text("")
    assert files_below(tmp_path) == []
    assert len(files_below(tmp_path / "search-data")) == 2


def test_two_ways_part_at_a_folder() -> None:
    assert parting(Path("/d/visible/train"), Path("/d/infrared/train")) == Path("/d/visible")
    assert parting(Path("/d/a"), Path("/d/a/b")) == Path("/d/a")


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "größe").mkdir()
    (tmp_path / "größe" / "a.png").write_text("")
    assert len(files_below(tmp_path)) == 1
    Path(os.fsdecode(bytes(tmp_path) + b"/\xd5\xd5.png")).write_text("")
    with pytest.raises(DataError, match=r"xd5.png' has a name that is not UTF-8; rename it"):
        files_below(tmp_path)
