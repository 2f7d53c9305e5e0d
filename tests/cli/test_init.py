"""`gp_search init`, then `check`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from detkds_gp.preflight import check as preflight_check

from .conftest import GpSearch

RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"


@pytest.mark.slow
def test_check_passes_on_what_init_writes(
    gp_search: GpSearch, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight_check, "STEPS", 1)  # that are timed
    path = tmp_path / "search.py"
    pair = ["--student", RETINANET, "--teacher", RETINANET]
    ended = gp_search("init", *pair, "--data", digits, "--scratch", "-o", path)
    assert ended.code == 0, ended.err
    assert f"next: gp_search check {path}" in ended.out
    checked = gp_search("check", path)
    assert checked.code == 0, checked.err
    assert "student.backbone ran" in checked.out


def test_it_writes_over_nothing(gp_search: GpSearch, digits: Path, tmp_path: Path) -> None:
    path = tmp_path / "search.py"
    path.write_text("mine")
    ended = gp_search("init", "--student", RETINANET, "--teacher", RETINANET, "--data", digits, "-o", path)
    assert ended.code == 2
    assert "is there already" in ended.err
    assert path.read_text() == "mine"


def test_it_says_what_is_not_there_before_it_begins(gp_search: GpSearch, digits: Path, tmp_path: Path) -> None:
    command = ("init", "--student", RETINANET, "--teacher", RETINANET, "--data", digits, "-o")
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "x" / "search.py", tmp_path / f"{'y' * 300}.py"):
        ended = gp_search(*command, output)
        assert ended.code == 2
        assert f"cannot write '{output}'" in ended.err
        assert ended.err.count("\n") == 1
    for missing in (tmp_path / "no.pth", ""):
        ended = gp_search(*command, tmp_path / "new" / "search.py", "--teacher-checkpoint", missing)
        assert ended.code == 2
        assert f"--teacher-checkpoint got '{missing}', no such file" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_that_is_no_configs_is_refused(gp_search: GpSearch, digits: Path, tmp_path: Path) -> None:
    path = tmp_path / "search.txt"
    ended = gp_search("init", "--student", RETINANET, "--teacher", RETINANET, "--data", digits, "-o", path)
    assert ended.code == 2
    assert f"-o got '{path}', wanted a name that ends in .py" in ended.err
    assert not path.exists()


def test_a_misspelt_detector_is_told_before_data_are_converted(gp_search: GpSearch, tmp_path: Path) -> None:
    (tmp_path / "voc").mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    for number in range(5):
        text = f"<annotation><filename>{number}.png</filename><object><name>a</name>{box}</object></annotation>"
        (tmp_path / "voc" / f"{number}.xml").write_text(text)
        Image.new("RGB", (32, 32)).save(tmp_path / "voc" / f"{number}.png")
    for pair in ((RETINANET, "mmdet::retinanet/retinanet_r18.py"), ("student.py", RETINANET)):
        command = ("init", "--student", pair[0], "--teacher", pair[1], "--data", tmp_path / "voc")
        ended = gp_search(*command, "-o", tmp_path / "search.py")
        assert ended.code == 2
        assert "there is no such file" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["voc"]


def _two_files_of_training(digits: Path, folder: Path) -> Path:
    shutil.copytree(digits, folder)
    (folder / "old").mkdir()
    shutil.copy(folder / "train.json", folder / "old" / "train.json")
    return folder


def test_two_readings_are_refused_until_a_flag_decides_and_the_config_says_what_was_taken(
    gp_search: GpSearch, digits: Path, tmp_path: Path
) -> None:
    folder, path = _two_files_of_training(digits, tmp_path / "my data [1]"), tmp_path / "search.py"
    command = ("init", "--student", RETINANET, "--teacher", RETINANET, "--data", folder, "--scratch", "-o", path)
    ended = gp_search(*command)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "old/train.json and train.json both name train; say which counts by --train-json" in ended.err
    assert not path.exists()
    ended = gp_search(*command, "--train-json", "old/train.json")
    assert ended.code == 0, ended.err
    for said in (ended.out, path.read_text()):
        assert "train: old/train.json, its images in images" in said
        assert "not used: train.json; --train-json, --val-json or --test-json takes it" in said
    lines = path.read_text().splitlines()
    first = lines.index("# train: old/train.json, its images in images")
    assert lines[first + 4].startswith("data = dict(")
    for flag, value in (("--format", "pascal"), ("--val-json", "gone.json"), ("--images", "gone")):
        refused = gp_search(*command[:-1], tmp_path / "other.py", "--train-json", "old/train.json", flag, value)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert f"{flag} got {value!r}" in refused.err
