"""`gp_search check`, down to the paper's eight pairs on images in COCO's layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset

from detkds_gp.config import load_config
from detkds_gp.detectors import detector_config
from detkds_gp.preflight import check as preflight_check

from ..scripts import benchmark
from .conftest import GpSearch

family_list = benchmark("family_list")
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
COCO = sorted(path.stem for path in (CONFIGS / "coco").glob("*.py"))
ANY = {"global", "foreground", "background", "instance"}
PREDICTED = ANY | {"predicted_logits", "predicted_boxes"}
UNLIKE = {
    **dict.fromkeys(("dino_swin_l_to_r50", "dino_r50_to_detr_r50"), PREDICTED | {"query_logits"}),
    **dict.fromkeys(("dino_r50_to_retinanet_r50", "dino_r50_to_rtmdet_tiny"), PREDICTED),
    "cascade_mask_x101_to_fcos_r50": PREDICTED,
    "sparse_rcnn_r101_to_r50": PREDICTED | {"query_logits", "query_boxes"},
}
"""By config, what pairs share that have no head of the same kind."""
OF_LARGER_IMAGES = {"cascade_mask_x101_to_fcos_r50"}
"""An untrained cascade's boxes lie apart on a small image."""


def shallow(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that leave a detector its parts and widths, and take blocks, layers and boxes from it."""
    found = family_list.limited(model)
    backbone = model["backbone"]
    found |= {"model.backbone.depth": 50} if backbone.get("depth") == 101 else {}
    found |= {"model.backbone.depths": [2] * len(backbone["depths"])} if "depths" in backbone else {}
    if "num_queries" in model:
        layers = {f"model.{part}.num_layers": 2 for part in ("encoder", "decoder")}
        found |= {**layers, "model.num_queries": 100}
    return found


def test_it_prints_what_a_pair_shares_and_what_a_step_costs(gp_search: GpSearch, tiny_config: Path) -> None:
    ended = gp_search("check", tiny_config)
    assert ended.code == 0, ended.err
    assert "8: 8x8x8 > 16x8x8" in ended.out
    assert "not shared: box_bins: the student's RetinaHead predicts boxes as numbers" in ended.out
    assert "milliseconds" in ended.out
    assert "student.backbone ran" in ended.out


def test_its_json_holds_the_same(gp_search: GpSearch, tiny_config: Path) -> None:
    ended = gp_search("check", tiny_config, "--json")
    values = json.loads(ended.out)
    assert {"offers", "alone", "distilled", "ap", "said", "data"} == set(values)
    assert {name: split["images"] for name, split in values["data"]["splits"].items()} == {
        "train": 12,
        "selection": 6,
        "test": 6,
    }
    offers = {offer["name"]: offer for offer in values["offers"]}
    assert offers["class_logits"]["strides"] == [8, 16, 32]
    assert offers["class_logits"]["scale"] > 0
    assert values["distilled"]["passes"]["student.backbone"] == 1


def test_knowledge_that_the_pair_does_not_have_ends_with_2(gp_search: GpSearch, tiny_config: Path) -> None:
    ended = gp_search("check", tiny_config, "--cfg-options", "knowledge=global,mask_logits")
    assert ended.code == 2
    assert "the config asks for 'mask_logits': the student's RetinaNet has no mask head" in ended.err
    assert "shared knowledge" in ended.out


def test_misspelt_keys_end_with_2_and_the_nearest(gp_search: GpSearch, tiny_config: Path) -> None:
    ended = gp_search("check", tiny_config, "--cfg-options", "proxy.itertions=3")
    assert ended.code == 2
    assert "did you mean 'iterations'" in ended.err
    ended = gp_search("check", tiny_config, "--cfg-options", "knowledge=[globl]")
    assert ended.code == 2
    assert "did you mean 'global'" in ended.err


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred generated images in COCO 2017's layout, few of which a proxy takes; two objects with masks on each."""
    root = tmp_path_factory.mktemp("coco")
    (root / "annotations").mkdir()
    rng = np.random.default_rng(0)
    names = CocoDataset.METAINFO["classes"]
    for split, count in (("train2017", 100), ("val2017", 4)):
        (root / split).mkdir()
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(count):
            name = f"{number:012d}.jpg"
            cv2.imwrite(str(root / split / name), rng.integers(0, 256, (240, 320, 3), dtype=np.uint8))
            images.append({"id": number, "file_name": name, "width": 320, "height": 240})
            for left, top, side in ((20, 30, 150), (200, 100, 40)):
                corners = [left, top, left + side, top, left + side, top + side, left, top + side]
                annotations.append({
                    "id": len(annotations) + 1, "image_id": number, "category_id": 1 + len(annotations) % 80,
                    "bbox": [left, top, side, side], "area": side * side, "iscrowd": 0, "segmentation": [corners],
                })  # fmt: skip
        categories = [{"id": index + 1, "name": name} for index, name in enumerate(names)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", COCO)
def test_pairs_of_coco_are_wired(
    name: str, gp_search: GpSearch, coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight_check, "STEPS", 1)  # that are timed
    side = 256 if name in OF_LARGER_IMAGES else 128
    base, path = CONFIGS / "coco" / f"{name}.py", tmp_path / "shallow.py"
    config = load_config(base)
    specs = {role: detector.spec() for role, detector in (("student", config.student), ("teacher", config.teacher))}
    fewer = {role: {"overrides": shallow(detector_config(spec, ("thing",)).model)} for role, spec in specs.items()}
    path.write_text(f"_base_ = {str(base)!r}\nstudent = {fewer['student']!r}\nteacher = {fewer['teacher']!r}\n")
    options = [f"data.root={coco}", f"proxy.image_size={side},{side}", "proxy.batch_size=1"]
    ended = gp_search("check", path, "--random-weights", "--json", "--cfg-options", *options)
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    shared = {offer["name"]: offer for offer in report["offers"] if not offer["reason"]}
    wanted = ANY | {"class_logits", "boxes"}
    wanted |= {"box_bins"} if name.startswith("gfl") else set()
    wanted |= {"objectness", "proposals"} if "faster" in name or "mask" in name else {"class_map", "cross_logits"}
    wanted |= {"mask_logits"} if "to_mask_rcnn" in name else set()
    wanted = UNLIKE.get(name, wanted)
    assert wanted <= set(shared)
    still = {"boxes"} if name.startswith(("rtmdet", "yolox")) else set()  # of random weights: no gradient arrives
    still |= {"predicted_boxes"} if name.endswith("detr_r50") else set()  # nor here
    assert {name for name in wanted - still if not shared[name]["scale"]} == set()
    assert report["alone"]["passes"]["student.backbone"] == report["distilled"]["passes"]["student.backbone"] == 1


def test_curves_say_where_student_and_teacher_end(gp_search: GpSearch, tiny_config: Path) -> None:
    asked = ("check", tiny_config, "--curves", "--iterations", "8")
    told = json.loads(gp_search(*asked, "--json").out)
    assert [n for n, _ in told["student"]] == list(range(1, 9))
    assert told["student_end"]["low"] <= told["student_end"]["ap"] <= told["student_end"]["high"]
    ended = gp_search(*asked)
    assert ended.code == 0, ended.err
    assert told["said"][0] in ended.out
    assert "learning curves" in ended.out
