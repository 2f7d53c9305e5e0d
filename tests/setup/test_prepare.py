"""What is wrong with data and detectors is said before anything is trained."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.config import DataSettings, load_config
from detkds_gp.data.coco import data_hash
from detkds_gp.detectors import build_detector, save_weights
from detkds_gp.errors import ConfigError, DataError, DeclarationError, DetectorError
from detkds_gp.fitness import ProxyTask
from detkds_gp.language import PrimitiveSet, Rows, input
from detkds_gp.listener import Listener
from detkds_gp.primitives import distances
from detkds_gp.primitives.inputs import global_
from detkds_gp.setup.prepare import gather, load_data, prepare


class Heard(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def settings(root: Path, **more: Any) -> DataSettings:
    names = ("train", "selection", "test")
    splits = {name: {"ann_file": f"{name}.json", "images": "images"} for name in names}
    return DataSettings.model_validate({"root": str(root), **splits, **more})


@pytest.fixture
def folder(tiny_config: Path, tmp_path: Path) -> Path:
    load_data(load_config(tiny_config).data)
    return Path(shutil.copytree(tiny_config.with_name("digits"), tmp_path / "set"))


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_generated_digits_are_the_same_data_as_their_files(folder: Path, tiny_config: Path) -> None:
    by_files, generated = load_data(settings(folder)), load_data(load_config(tiny_config).data)
    assert [data_hash(split) for split in by_files.values()] == [data_hash(split) for split in generated.values()]
    assert {name: len(split.images) for name, split in by_files.items()} == {
        "train": 12,
        "selection": 6,
        "test": 6,
    }


def test_a_part_of_a_split_is_another_data_set(folder: Path) -> None:
    fifth = settings(folder, train={"ann_file": "train.json", "images": "images", "part": (0, 0.25)})
    whole, part = load_data(settings(folder)), load_data(fifth)
    assert [len(split.images) for split in part.values()] == [3, 6, 6]
    changed = {name for name, split in part.items() if data_hash(split) != data_hash(whole[name])}
    assert changed == {"train"}


def test_a_missing_image_is_named(folder: Path) -> None:
    (folder / "images" / "test_00002.jpg").unlink()
    with pytest.raises(DataError, match=r"test\.json: 1 of 6 images are missing.*test_00002\.jpg"):
        load_data(settings(folder))


def test_an_empty_annotation_file_is_named(folder: Path) -> None:
    (folder / "selection.json").write_text("")
    with pytest.raises(DataError, match=r"selection\.json: broken JSON"):
        load_data(settings(folder))
    (folder / "selection.json").unlink()
    with pytest.raises(DataError, match=r"selection\.json: no such annotation file"):
        load_data(settings(folder))


def test_a_split_without_annotations_is_named(folder: Path) -> None:
    edit(folder / "train.json", lambda content: content.update(annotations=[]))
    with pytest.raises(DataError, match=r"train\.json: got no annotations"):
        load_data(settings(folder))


def test_classes_of_the_config_must_be_the_files(folder: Path) -> None:
    with pytest.raises(DataError, match="classes 0, eight"):
        load_data(settings(folder, classes=("0", "eight")))
    splits = load_data(settings(folder, classes=("7", "3", "0")))
    assert {split.classes for split in splits.values()} == {("7", "3", "0")}


def test_classes_of_the_splits_must_agree(folder: Path) -> None:
    edit(folder / "test.json", lambda content: content["categories"][4].update(name="vier"))
    with pytest.raises(DataError, match=r"test\.json: got classes .*4.*vier"):
        load_data(settings(folder))


def test_splits_must_not_share_images(folder: Path) -> None:
    shutil.copy(folder / "train.json", folder / "test.json")
    with pytest.raises(DataError, match=r"train_00000\.jpg is in both train and test"):
        load_data(settings(folder))


def test_what_contradicts_the_images_is_refused_before_a_teacher_is_trained(tiny_config: Path, folder: Path) -> None:
    edit(folder / "test.json", lambda content: content["images"][1].update(width=65))
    data = settings(folder).model_dump()
    config = load_config(tiny_config, {"data.digits": None, **{f"data.{key}": value for key, value in data.items()}})
    with pytest.raises(
        DataError, match=r"test\.json: 1 of 6 images have another size.*64x64 pixels, the file says 65x64"
    ):
        gather(config)


def test_headers_are_kept_in_the_configs_cache(tiny_config: Path, tmp_path: Path) -> None:
    recipe = {"root": str(tmp_path / "many"), "train": 240, "selection": 2, "test": 2, "size": 64}
    config = load_config(tiny_config, {"data.digits": recipe, "cache_dir": str(tmp_path / "cache")})
    first = gather(config).splits["train"]
    (kept,) = (tmp_path / "cache" / "headers").iterdir()
    assert set(json.loads(kept.read_text())) >= {record.path.name for record in first.images}
    assert gather(config).splits["train"].files == first.files


def prepared(tiny_config: Path, listener: Listener | None = None, **options: Any) -> ProxyTask:
    config = load_config(tiny_config, options)
    return prepare(config, gather(config), tiny_config.parent, listener or Listener())


def test_a_pair_that_shares_no_map_is_refused(tiny_config: Path) -> None:
    padded = load_config(tiny_config).teacher.overrides | {"model.data_preprocessor.pad_size_divisor": 256}
    with pytest.raises(DetectorError, match="not share 'global': the map of stride 8 is 8x8 in the student, 32x32"):
        prepared(tiny_config, **{"teacher.overrides": padded})


def test_knowledge_that_is_not_shared_is_left_out_and_said(tiny_config: Path) -> None:
    heard = Heard()
    task = prepared(tiny_config, heard, knowledge=None)
    assert task.primitive_set.niches == (
        "global", "foreground_background", "instance", "class_logits", "localization", "cross_head", "predictions",
    )  # fmt: skip
    assert "box_bins" not in task.primitive_set.declarations
    assert "not shared: objectness (the student's RetinaNet has no region proposal network)" in heard.said
    with pytest.raises(DetectorError, match="does not share 'proposals': the student's RetinaNet has no region"):
        prepared(tiny_config, knowledge=("global", "proposals"))


def test_an_input_whose_kind_is_not_what_its_source_gives_is_named(tiny_config: Path) -> None:
    @input(Rows, niche="stage", latex="S", source="backbone.layer3")
    def stage() -> None:
        """Map of the third stage, declared as rows."""

    own = PrimitiveSet("OWN", [stage, global_, distances.l2])
    config = load_config(tiny_config, {"knowledge": None})
    with pytest.raises(
        DeclarationError, match=r"'stage' is a Rows, but 'backbone.layer3' gives tensors like \(16, 4, 4\)"
    ):
        prepare(config, gather(config, own), tiny_config.parent, Listener())


@pytest.mark.parametrize("named", ["by the checkpoint", "by the config"])
def test_a_teacher_may_know_other_classes_in_another_order(named: str, tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config)
    classes = (*reversed(load_data(config.data)["train"].classes), "hat")
    checkpoint = tmp_path / "teacher.pth"
    save_weights(build_detector(config.teacher.spec(), classes).state_dict(), checkpoint, classes)
    options: dict[str, Any] = {"teacher.checkpoint": str(checkpoint)}
    if named == "by the config":
        content = torch.load(checkpoint, weights_only=True)
        torch.save({"state_dict": content["state_dict"]}, checkpoint)
        options["teacher.classes"] = list(classes)
    task = prepared(tiny_config, **options)
    assert task.teacher_classes == classes
    assert task.pair.shared["class_logits"].notes == ("classes matched by name",)


@pytest.mark.parametrize("named", ["by the checkpoint", "by the config"])
def test_a_teacher_that_knows_no_class_of_the_data_is_refused_with_both_lists(
    named: str, tiny_config: Path, tmp_path: Path
) -> None:
    config = load_config(tiny_config)
    classes = ("Zero", "One", "8.", *(f"thing {number}" for number in range(9)))
    checkpoint = tmp_path / "teacher.pth"
    save_weights(build_detector(config.teacher.spec(), classes).state_dict(), checkpoint, classes)
    options: dict[str, Any] = {"teacher.checkpoint": str(checkpoint)}
    if named == "by the config":
        options["teacher.classes"] = list(classes)
    remedy = "mend teacher.classes" if named == "by the config" else f"gp_search weights {checkpoint} --classes A,B,"
    wanted = r"none of the data's classes: it has \[Zero, One, 8., .*\(12 in all\)\], the data \[0, 1, .*'8' and '8.'.*"
    with pytest.raises(DetectorError, match=wanted + re.escape(remedy)):
        prepared(tiny_config, **options)


def test_classes_of_a_teacher_that_is_still_to_be_trained_are_refused(tiny_config: Path) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.classes is given without teacher\.checkpoint"):
        prepared(tiny_config, **{"teacher.classes": ["a", "b"]})


def test_outputs_that_would_be_too_large_are_not_kept(tiny_config: Path) -> None:
    heard = Heard()
    assert prepared(tiny_config, heard, **{"proxy.teacher_limit_mb": 0}).teacher_outputs is None
    assert any("runs at every step: its outputs would take" in said for said in heard.said)


def test_what_a_student_inherits_is_said(tiny_config: Path) -> None:
    heard = Heard()
    overrides = load_config(tiny_config).student.overrides
    task = prepared(tiny_config, heard, init_student_from_teacher=True, **{"teacher.overrides": overrides})
    assert task.inherit
    assert "the student starts with the teacher's neck: 12 of 12 tensors" in heard.said


def test_unknown_knowledge_and_sets_are_named(tiny_config: Path) -> None:
    with pytest.raises(DeclarationError, match="no knowledge 'globl'; did you mean 'global'"):
        prepared(tiny_config, knowledge=("globl",))
    with pytest.raises(DeclarationError, match="no set 'DETKDX'; did you mean 'DETKDS'"):
        prepared(tiny_config, primitive_set="detkds_gp.primitives:DETKDX")


def test_missing_checkpoints_and_devices_are_named(tiny_config: Path) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.checkpoint is 'none\.pth', no such file"):
        prepared(tiny_config, **{"teacher.checkpoint": "none.pth"})
    with pytest.raises(ConfigError, match=r"proxy\.device is 'tpu9'"):
        prepared(tiny_config, **{"proxy.device": "tpu9"})


def test_a_teacher_trained_on_another_size_or_data_is_another_teacher(tiny_config: Path) -> None:
    names = {
        prepared(tiny_config, **options).teacher.checkpoint
        for options in ({}, {"proxy.image_size": (64, 96)}, {"teacher.train.seed": 1}, {"seed": 3})
    }
    assert len(names) == 3


def without_masks(folder: Path, split: str, count: int) -> None:
    def change(content: dict[str, Any]) -> None:
        for row in content["annotations"][:count]:
            row["segmentation"] = []

    edit(folder / f"{split}.json", change)


def files_of(folder: Path) -> dict[str, Any]:
    splits = {name: {"ann_file": f"{name}.json", "images": "images"} for name in ("train", "selection", "test")}
    return {"data": {"_delete_": True, "root": str(folder), **splits}}


def test_masks_are_learned_and_scored_where_there_are_masks(mask_config: Path) -> None:
    for metric in ("bbox", "segm"):
        task = prepared(mask_config, **{"proxy.metric": metric})
        assert task.settings.metric == metric
        assert set(task.pair.shared) >= {"global"}


def test_a_metric_of_masks_needs_mask_heads(tiny_config: Path, mask_config: Path) -> None:
    wanted = r"proxy\.metric is 'segm', but the student \(mmdet::retinanet.*no mask head; .*proxy\.metric = 'bbox'"
    with pytest.raises(ConfigError, match=wanted):
        prepared(tiny_config, **{"proxy.metric": "segm"})
    teacher = {"_delete_": True, **load_config(tiny_config).teacher.model_dump()}
    with pytest.raises(ConfigError, match="but the teacher"):
        prepared(mask_config, **{"proxy.metric": "segm", "teacher": teacher})


def test_masks_that_a_detector_would_learn_must_be_there(folder: Path, tiny_config: Path, mask_config: Path) -> None:
    without_masks(folder, "train", 2)
    said = r"train\.json: 2 of \d+ objects have no usable segmentation, the first a '.' in train_00000\.jpg: got none;"
    with pytest.raises(DataError, match=said + ".*choose a student without a mask head") as caught:
        prepared(mask_config, **files_of(folder))
    assert "\n" not in str(caught.value)
    student = {"_delete_": True, **load_config(tiny_config).student.model_dump()}
    with pytest.raises(DataError, match="choose a teacher without a mask head"):
        prepared(mask_config, **files_of(folder), student=student, knowledge=None)
    assert prepared(tiny_config, **files_of(folder))  # boxes need none


@pytest.mark.parametrize("split", ["selection", "test"])
def test_masks_that_would_be_scored_must_be_there(folder: Path, mask_config: Path, split: str) -> None:
    without_masks(folder, split, 1)
    assert prepared(mask_config, **files_of(folder))  # boxes are scored
    with pytest.raises(DataError, match=rf"{split}\.json: 1 of .* set proxy\.metric = 'bbox'"):
        prepared(mask_config, **files_of(folder), **{"proxy.metric": "segm"})
