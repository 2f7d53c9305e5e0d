"""The tiny configs: every family, and pairs that are unlike each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.models.detectors.base import BaseDetector

from detkds_gp.config import load_config
from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import build_detector, finds_masks, make_batch
from detkds_gp.fitness import SplitImages
from detkds_gp.setup.prepare import load_data
from detkds_gp.training import seed_all

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "tiny"
KINDS = {
    "retinanet": "RetinaNet",
    "fcos": "FCOS",
    "atss": "ATSS",
    "gfl": "GFL",
    "reppoints": "RepPointsDetector",
    "tood": "TOOD",
    "vfnet": "VFNet",
    "yolox": "YOLOX",
    "rtmdet": "RTMDet",
    "faster_rcnn": "FasterRCNN",
    "cascade_rcnn": "CascadeRCNN",
    "mask_rcnn": "MaskRCNN",
    "cascade_mask_rcnn": "CascadeRCNN",
    "detr": "DETR",
    "dino": "DINO",
    "sparse_rcnn": "SparseRCNN",
}
PAIRS = {name: (kind, kind) for name, kind in KINDS.items()} | {
    "gfl_to_retinanet": ("RetinaNet", "GFL"),
    "cascade_mask_to_faster": ("FasterRCNN", "CascadeRCNN"),
    "retinanet34_to_fcos18": ("FCOS", "RetinaNet"),
    "dino_to_retinanet": ("RetinaNet", "DINO"),
    "dino_to_rtmdet": ("RTMDet", "DINO"),
    "faster_rcnn_to_fcos": ("FCOS", "FasterRCNN"),
    "cascade_mask_to_fcos": ("FCOS", "CascadeRCNN"),
}
"""By config: mmdet's classes of student and teacher."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> CocoSplit:
    """The training scenes that all tiny configs share."""
    root = tmp_path_factory.mktemp("digits") / "tiny"
    return load_data(load_config(FOLDER / "retinanet.py", {"data.digits.root": str(root)}).data)["train"]


def batch_of(scenes: CocoSplit, size: tuple[int, int], *, masks: bool) -> dict[str, Any]:
    """Return four scenes; their objects have masks where these are learned."""
    images = SplitImages(scenes, size, limit_bytes=0)
    return make_batch([images[index] for index in range(4)], masks=masks)


def size_of(detector: BaseDetector) -> int:
    return sum(parameter.numel() for parameter in detector.parameters())


def test_every_tiny_config_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(PAIRS)


@pytest.mark.parametrize("name", PAIRS)
def test_a_student_learns_and_its_teacher_is_larger(name: str, scenes: CocoSplit) -> None:
    config = load_config(FOLDER / f"{name}.py")
    seed_all(0)
    student, teacher = (build_detector(side.spec(), scenes.classes) for side in (config.student, config.teacher))
    assert (type(student).__name__, type(teacher).__name__) == PAIRS[name]
    assert size_of(teacher) > 2 * size_of(student)

    data = student.data_preprocessor(
        batch_of(scenes, config.proxy.image_size, masks=finds_masks(student)), training=True
    )
    loss, parts = student.parse_losses(student.loss(data["inputs"], data["data_samples"]))
    assert len(parts) > 2
    assert all(torch.isfinite(part) for part in parts.values())
    loss.backward()
    assert sum(parameter.grad.abs().sum() for parameter in student.backbone.parameters()) > 0


@pytest.mark.parametrize("name", ["mask_rcnn", "cascade_mask_rcnn"])
def test_mask_families_predict_masks_and_are_scored_on_them(name: str) -> None:
    config = load_config(FOLDER / f"{name}.py")
    assert config.proxy.metric == "segm"
    assert build_detector(config.student.spec(), ["0", "1"]).with_mask
