"""The image size of a full training, in pipelines that resize and in those that paste images on a canvas."""

from __future__ import annotations

from typing import Any

import pytest

from detkds_gp.detectors import DetectorSpec, detector_config
from detkds_gp.training.image_size import set_image_size

RTMDET = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
YOLOX = "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"
EFFICIENTNET = "mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py"
RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"


def sized(config: str, size: tuple[int, int] = (64, 96)) -> Any:
    found = detector_config(DetectorSpec(config), ("thing",))
    set_image_size(found, size)
    return found


def sizes(pipeline: Any) -> dict[str, Any]:
    keys = ("img_scale", "crop_size", "size", "scale", "border")
    return {step["type"]: tuple(step[key]) for step in pipeline for key in keys if step.get(key) is not None}


def test_a_pipeline_without_a_canvas_resizes_to_the_size() -> None:
    found = sized(RETINANET)
    for loader in (found.train_dataloader, found.test_dataloader):
        assert sizes(loader.dataset.pipeline) == {"Resize": (96, 64)}


def test_mosaics_are_scaled_whole() -> None:
    found = sized(RTMDET)
    wanted = {"CachedMosaic": (96, 64), "RandomResize": (192, 128), "RandomCrop": (96, 64), "Pad": (96, 64)}
    assert sizes(found.train_dataloader.dataset.pipeline) == {**wanted, "CachedMixUp": (96, 64)}
    steps = {step["type"]: step for step in found.train_dataloader.dataset.pipeline}
    assert tuple(steps["RandomResize"]["ratio_range"]) == (0.5, 2.0)
    for loader in (found.val_dataloader, found.test_dataloader):
        assert sizes(loader.dataset.pipeline) == {"Resize": (96, 64), "Pad": (96, 64)}
    (switched,) = (hook.switch_pipeline for hook in found.custom_hooks if hook.type == "PipelineSwitchHook")
    assert sizes(switched) == {"RandomResize": (96, 64), "RandomCrop": (96, 64), "Pad": (96, 64)}


def test_the_pipeline_of_a_data_set_that_mixes_images_is_sized_too() -> None:
    found = sized(YOLOX)
    wanted = {"Mosaic": (96, 64), "RandomAffine": (-48, -32), "Resize": (96, 64)}
    assert sizes(found.train_dataloader.dataset.pipeline) == wanted


@pytest.mark.parametrize("size", [(64, 96), (448, 448)])
def test_crops_keep_their_share_of_what_they_are_cut_from(size: tuple[int, int]) -> None:
    found = sizes(sized(EFFICIENTNET, size).train_dataloader.dataset.pipeline)
    assert found == {"RandomResize": size[::-1], "RandomCrop": size[::-1]}
