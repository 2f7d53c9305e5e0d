from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from detkds_gp.detectors import DetectorSpec, ImageInput, build_detector, make_batch

CLASSES = ("red", "white", "plate")
SIZE = 128
RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"


def _tiny(base: int, neck: int) -> dict[str, Any]:
    return {
        "model.backbone.depth": 18,
        "model.backbone.base_channels": base,
        "model.backbone.stem_channels": base,
        "model.backbone.init_cfg": None,
        "model.backbone.frozen_stages": -1,
        "model.backbone.norm_cfg.requires_grad": True,
        "model.backbone.norm_eval": False,
        "model.neck.in_channels": [base, 2 * base, 4 * base, 8 * base],
        "model.neck.out_channels": neck,
        "model.bbox_head.in_channels": neck,
        "model.bbox_head.feat_channels": neck,
        "model.bbox_head.stacked_convs": 2,
    }


STUDENT = DetectorSpec(RETINANET, _tiny(16, 64))
TEACHER = DetectorSpec(RETINANET, _tiny(32, 96))
FCOS = DetectorSpec("mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", _tiny(16, 64))
GFL = DetectorSpec("mmdet::gfl/gfl_r50_fpn_1x_coco.py", _tiny(16, 64))
ATSS = DetectorSpec("mmdet::atss/atss_r50_fpn_1x_coco.py", _tiny(16, 64))
MASK_RCNN = DetectorSpec(
    "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    {
        **{key: value for key, value in _tiny(8, 16).items() if "bbox_head" not in key},
        "model.rpn_head.in_channels": 16,
        "model.rpn_head.feat_channels": 16,
        "model.roi_head.bbox_roi_extractor.out_channels": 16,
        "model.roi_head.bbox_head.in_channels": 16,
        "model.roi_head.bbox_head.fc_out_channels": 32,
        "model.roi_head.mask_roi_extractor.out_channels": 16,
        "model.roi_head.mask_head.in_channels": 16,
        "model.roi_head.mask_head.conv_out_channels": 16,
        "model.roi_head.mask_head.num_convs": 1,
        "model.test_cfg.rpn.max_per_img": 50,
    },
)
CASCADE_MASK = DetectorSpec(
    "mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py",
    {
        **{key: value for key, value in MASK_RCNN.overrides.items() if "_head.in" not in key and "_head.fc" not in key},
        "model.rpn_head.in_channels": 16,
        **{f"model.roi_head.bbox_head.{stage}.in_channels": 16 for stage in range(3)},
        **{f"model.roi_head.bbox_head.{stage}.fc_out_channels": 32 for stage in range(3)},
        "model.roi_head.mask_head.in_channels": 16,
    },
)
SPECS = {
    "student": STUDENT,
    "teacher": TEACHER,
    "fcos": FCOS,
    "gfl": GFL,
    "atss": ATSS,
    "mask_rcnn": MASK_RCNN,
    "cascade_mask": CASCADE_MASK,
}


@pytest.fixture(scope="session")
def spec() -> Callable[[str], DetectorSpec]:
    return SPECS.__getitem__


@pytest.fixture(scope="session")
def built() -> Callable[[str], Any]:
    """Give one of the tiny detectors, built once; a test leaves it as it found it."""
    made: dict[str, Any] = {}

    def build(name: str) -> Any:
        if name not in made:
            torch.manual_seed(1)
            made[name] = build_detector(SPECS[name], CLASSES)
        return made[name]

    return build


@pytest.fixture(scope="session")
def student(built: Callable[[str], Any]) -> Any:
    return built("student")


@pytest.fixture(scope="session")
def teacher(built: Callable[[str], Any]) -> Any:
    return built("teacher")


@pytest.fixture(scope="session")
def items() -> list[ImageInput]:
    """Two images of noise, 100x80 pixels as stored, with two boxes and none."""
    rng = np.random.default_rng(0)
    made = []
    for image_id, boxes in ((7, [[10, 20, 60, 70], [30, 5, 99, 50]]), (9, [])):
        array = np.zeros((SIZE, SIZE, 3), np.uint8)
        array[:102] = rng.integers(0, 256, (102, SIZE, 3))
        made.append(
            ImageInput(
                array=array,
                resized=(102, SIZE),
                scale=(1.28, 1.275),
                original=(80, 100),
                boxes=np.array(boxes, np.float32).reshape(-1, 4),
                labels=np.array([0, 2][: len(boxes)], np.int64),
                image_id=image_id,
            )
        )
    return made


@pytest.fixture
def batch(items: list[ImageInput]) -> dict[str, Any]:
    return make_batch(items, [False, True])
