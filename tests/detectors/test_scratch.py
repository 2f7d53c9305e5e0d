"""Backbones of all kinds that start without pretrained weights."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from detkds_gp.detectors import DetectorSpec, build_detector, detector_config, from_scratch
from detkds_gp.errors import DetectorError

SWIN = "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py"
CONFIGS = {
    SWIN: {"init_cfg": None, "frozen_stages": -1},
    "mmdet::pvt/retinanet_pvt-t_fpn_1x_coco.py": {"init_cfg": None},
    "mmdet::ssd/ssd300_coco.py": {"init_cfg": None},
    "mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py": {
        "init_cfg": None,
        "frozen_stages": 0,
        "norm_eval": False,
    },
    "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py": {"init_cfg": None, "frozen_stages": -1, "norm_eval": False},
    "mmdet::resnest/faster-rcnn_s50_fpn_syncbn-backbone+head_ms-range-1x_coco.py": {
        "init_cfg": None,
        "frozen_stages": -1,
        "norm_eval": False,
    },
}


@pytest.mark.parametrize("config", CONFIGS)
def test_a_backbone_gets_the_arguments_that_it_takes(config: str) -> None:
    found = from_scratch(detector_config(DetectorSpec(config), ("thing",)).model.backbone)
    assert found == {f"model.backbone.{key}": value for key, value in CONFIGS[config].items()}
    detector = build_detector(DetectorSpec(config, found), ("thing",), initialise=False)
    assert all(parameter.requires_grad for parameter in detector.backbone.parameters())


@pytest.mark.skipif(find_spec("mmpretrain") is not None, reason="it is installed")
def test_a_missing_package_is_told_with_its_command() -> None:
    config = "convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py"
    with pytest.raises(DetectorError, match="needs mmpretrain, which is not installed; run pip install mmpretrain$"):
        detector_config(DetectorSpec(f"mmdet::{config}"), ("thing",))
