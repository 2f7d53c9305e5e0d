"""Full training of the families of detectors, and of pairs that find masks on one side alone.

RetinaNet's is that of `test_training`, those of YOLOX and RTMDet run in two processes in `test_two_processes`. FCOS,
Cascade R-CNN and GFL to RetinaNet differ in nothing that a Runner sees from the pairs here with the same students or
heads; RepPoints reads its images and trains as ATSS does. The proxy trains all of them, in `tests/pairs`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.config import load_config
from detkds_gp.configs.tiny._base_ import narrow

from .test_training import SHORT, trained

TINY = Path(__file__).resolve().parents[2] / "configs" / "tiny"
FAMILIES = {
    "atss": "mgd",
    "gfl": "ld",
    "tood": "pkd",
    "vfnet": "crosskd",
    "faster_rcnn": "fgd_two_stage",
    "mask_rcnn": "mgd_two_stage",
    "cascade_mask_rcnn": "cwd",
    "retinanet34_to_fcos18": "weighted_giou(boxes, box_score)",
    "cascade_mask_to_faster": "detkds_cascade",
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A short training on few scenes, which all share."""
    folder = tmp_path_factory.mktemp("families")
    few = {f"data.digits.{split}": count for split, count in (("train", 16), ("selection", 8), ("test", 8))}
    return {**SHORT, **few, "data.digits.root": str(folder / "digits"), "cache_dir": str(folder / "cache")}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains(family: str, local: dict[str, Any], tmp_path: Path) -> None:
    config = load_config(TINY / f"{family}.py", {**local, "teacher.train.iterations": 2})
    folder = tmp_path / "training"
    trained(config, FAMILIES[family], folder)
    (log,) = folder.glob("*/vis_data/scalars.json")
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [step[key] for step in steps for key in step if "loss_distill" in key]
    assert losses
    assert all(loss > 0 for loss in losses)
    assert (folder / "student.pth").is_file()


@pytest.mark.slow
def test_yolox_trains_alone_and_closes_its_mosaic(local: dict[str, Any], tmp_path: Path) -> None:
    """mmdet's hook looks for the head of the student that is wrapped; of 20 steps the last comes without mosaic."""
    config = load_config(TINY / "yolox.py", {**local, "full_training.iterations": 20})
    folder = tmp_path / "training"
    assert 0 <= trained(config, "none", folder)["ap"] <= 1
    (log,) = folder.glob("*/*.log")
    assert "No mosaic and mixup aug now!" in log.read_text()
    (scalars,) = folder.glob("*/vis_data/scalars.json")
    steps = [json.loads(line) for line in scalars.read_text().splitlines()]
    last = [step for step in steps if "loss" in step]
    assert "loss_l1" in last[-1]
    assert "loss_l1" not in last[0]


@pytest.mark.slow
def test_mask_ap_is_told_where_the_students_config_compares_boxes(mask_config: Path, tmp_path: Path) -> None:
    boxes = {"student.overrides": {**dict(load_config(mask_config).student.overrides), "test_evaluator.metric": "bbox"}}
    told = trained(load_config(mask_config, {**SHORT, **boxes, "proxy.metric": "segm"}), "none", tmp_path / "none")
    assert told["ap"] == told["metrics"]["student"]["coco/segm_mAP"]
    assert "coco/bbox_mAP" in told["metrics"]["student"]


@pytest.mark.slow
def test_a_teacher_without_masks_is_scored_beside_a_student_with_them(mask_config: Path, tmp_path: Path) -> None:
    path = mask_config.with_name("boxes_teach_masks.py")
    teacher = {**narrow.faster_rcnn(16), "_delete_": True, "train": {"iterations": 3, "batch_size": 4}}
    path.write_text(f'_base_ = "{mask_config}"\nknowledge = None\nteacher = {teacher!r}\n')
    config = load_config(path, {**SHORT, "proxy.metric": "bbox"})
    told = trained(config, "1 * 0.5 * l2(global)", tmp_path / "distilled")
    assert "coco/segm_mAP" in told["metrics"]["student"]
    assert set(told["metrics"]["teacher"]) == {k for k in told["metrics"]["student"] if "segm" not in k}
    assert told["teacher_ap"] == told["metrics"]["teacher"]["coco/bbox_mAP"]
