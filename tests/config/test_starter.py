"""`gp_search init`: a config that the check passes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from detkds_gp.config import load_config
from detkds_gp.config.starter import Machine, Pair, proxy_size, starter_config
from detkds_gp.data.coco import read_splits
from detkds_gp.data.discover import FoundData, find_data
from detkds_gp.errors import DataError

RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
FCOS = "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py"


def _text(pair: Pair, found: FoundData, machine: Machine) -> str:
    return starter_config(pair, found, read_splits(found.sources, None)["train"], machine)


def test_splits_classes_and_image_folders_are_found(digits: Path) -> None:
    found = find_data(digits)
    assert {name: (split.ann_file, split.images, split.part) for name, split in found.splits.items()} == {
        name: (f"{name}.json", "images", (0.0, 1.0)) for name in ("train", "selection", "test")
    }
    train = read_splits(found.sources, None)["train"]
    assert (train.classes, len(train.images)) == (tuple("0123456789"), 24)


def test_cocos_own_layout_without_a_test_file_halves_the_validation_file(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for name, theirs in (("train", "instances_train2017"), ("selection", "instances_val2017")):
        shutil.copy(digits / f"{name}.json", tmp_path / "annotations" / f"{theirs}.json")
    (tmp_path / "train2017").symlink_to(digits / "images")
    found = find_data(tmp_path)
    assert found.splits["train"].images == "train2017"
    assert found.splits["selection"].ann_file == found.splits["test"].ann_file == "annotations/instances_val2017.json"
    assert (found.splits["selection"].part, found.splits["test"].part) == ((0.0, 0.5), (0.5, 1.0))


def test_a_single_file_is_cut_in_three(digits: Path, tmp_path: Path) -> None:
    shutil.copy(digits / "train.json", tmp_path / "labels.json")
    shutil.copytree(digits / "images", tmp_path / "pictures")
    found = find_data(tmp_path)
    assert {split.ann_file for split in found.splits.values()} == {"labels.json"}
    assert [split.part for split in found.splits.values()] == [(0.0, 0.7), (0.7, 0.85), (0.85, 1.0)]
    assert found.splits["train"].images == "pictures"


def test_what_cannot_be_found_is_told(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="wanted a folder of COCO, VOC or YOLO annotations"):
        find_data(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no COCO annotation file"):
        find_data(tmp_path)
    shutil.copy(digits / "train.json", tmp_path / "train.json")
    with pytest.raises(DataError, match=r"its image '.*' is in no folder below"):
        find_data(tmp_path)


@pytest.mark.parametrize(
    ("size", "device", "wanted"),
    [
        ((480, 640), "cpu", (160, 192)),
        ((480, 640), "cuda", (480, 640)),
        ((64, 64), "cpu", (64, 64)),
        ((9, 900), "cpu", (32, 192)),
    ],
)
def test_the_proxys_images_suit_data_and_machine(size: tuple[int, int], device: str, wanted: tuple[int, int]) -> None:
    assert proxy_size(size, device) == wanted


@pytest.mark.parametrize("scratch", [True, False])
@pytest.mark.parametrize("machine", [Machine("cpu", 2), Machine("cuda", 4)])
def test_the_text_is_a_config(scratch: bool, machine: Machine, digits: Path, tmp_path: Path) -> None:
    path = tmp_path / "search.py"
    path.write_text(_text(Pair(RETINANET, FCOS, None, scratch), find_data(digits), machine))
    config = load_config(path)
    assert config.data.classes == tuple("0123456789")
    assert (config.student.config, config.teacher.config) == (RETINANET, FCOS)
    assert (config.proxy.device, config.execution.workers) == (machine.device, machine.workers)
    optimizer = config.proxy.optimizer
    assert (optimizer["type"], optimizer["lr"]) == (("AdamW", 1e-3) if scratch else ("SGD", pytest.approx(0.01 / 2)))
    assert config.full_training.iterations == (480 if scratch else None)


@pytest.mark.parametrize("scratch", [True, False])
def test_nothing_resizes_the_batches_of_one_side_alone(scratch: bool, digits: Path, tmp_path: Path) -> None:
    yolox = "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"
    path = tmp_path / "search.py"
    path.write_text(_text(Pair(yolox, yolox, None, scratch), find_data(digits), Machine("cpu", 1)))
    config = load_config(path)
    for side in (config.student, config.teacher):
        overrides = side.overrides
        assert overrides["model.data_preprocessor.batch_augments"] is None
        assert ("model.backbone.init_cfg" in overrides) == scratch


def test_every_text_reads_back(digits: Path, tmp_path: Path) -> None:
    odd = tmp_path / 'a "quoted" \\ folder'
    shutil.copytree(digits, odd)
    raw = json.loads((odd / "train.json").read_text())
    raw["categories"][0]["name"] = 'it\'s "one"\n'
    for name in ("train", "selection", "test"):
        content = json.loads((odd / f"{name}.json").read_text())
        content["categories"][0]["name"] = raw["categories"][0]["name"]
        (odd / f"{name}.json").write_text(json.dumps(content))
    path = tmp_path / "search.py"
    path.write_text(_text(Pair(RETINANET, RETINANET, "t.pth"), find_data(odd), Machine("cpu", 1)))
    config = load_config(path)
    assert config.data.classes[0] == 'it\'s "one"\n'
    assert Path(config.data.root) == odd
    assert config.teacher.checkpoint == "t.pth"
