"""The image size of a full training, in pipelines that resize and in those that paste images on a canvas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.registry import DefaultScope

from detkds_gp.detectors import DetectorSpec, detector_config
from detkds_gp.errors import ConfigError
from detkds_gp.training.image_size import set_image_size

RTMDET = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
YOLOX = "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"
EFFICIENTNET = "mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py"
DINO = "mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py"
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


def test_a_pipeline_that_chooses_between_steps_is_scaled_whole() -> None:
    found = sized(DINO, (120, 160))
    (choice,) = (step for step in found.train_dataloader.dataset.pipeline if step["type"] == "RandomChoice")
    (plain,), (first, crop, last) = choice.transforms
    assert [tuple(scale) for scale in plain.scales] == [tuple(scale) for scale in last.scales]
    assert [tuple(scale) for scale in (plain.scales[0], plain.scales[-1])] == [(72, 160), (120, 160)]
    assert [tuple(scale) for scale in first.scales] == [(60, 504), (75, 504), (90, 504)]
    assert crop.crop_size == (57, 90)
    assert sizes(found.test_dataloader.dataset.pipeline) == {"Resize": (160, 120)}


@pytest.mark.parametrize("size", [(64, 64), (120, 160), (160, 120)])
def test_what_a_detr_trains_on_is_no_larger_than_asked(size: tuple[int, int]) -> None:
    found = sized(DINO, size)
    with DefaultScope.overwrite_default_scope("mmdet"):
        steps = Compose(found.train_dataloader.dataset.pipeline[2:-1])
    for _ in range(20):
        made = steps({
            "img": np.zeros((240, 320, 3), np.uint8), "img_shape": (240, 320),
            "gt_bboxes": HorizontalBoxes(torch.tensor([[10.0, 10, 300, 200]])),
            "gt_bboxes_labels": np.zeros(1, np.int64), "gt_ignore_flags": np.zeros(1, bool),
        })  # fmt: skip
        height, width = made["img"].shape[:2]
        assert min(height, width) <= min(size)
        assert max(height, width) <= max(size)


@pytest.mark.parametrize(
    ("resize", "wanted"),
    [
        ({"type": "RandomResize", "scale": [(1333, 400), (1333, 800)]}, [(32, 96), (64, 96)]),
        ({"type": "RandomResize", "scale": (1333, 800), "ratio_range": (0.5, 2.0)}, (64, 96)),
        ({"type": "RandomChoiceResize", "scales": [(400, 1333), (800, 1333)]}, [(32, 96), (64, 96)]),
    ],
)
def test_whatever_names_sizes_before_a_crop_of_a_range_is_scaled(resize: dict[str, Any], wanted: Any) -> None:
    crop = {"type": "RandomCrop", "crop_type": "absolute_range", "crop_size": (400, 600)}
    others = [{"type": "Resize", "scale_factor": 2.0}, {"type": "Sharpened", "scale": 3}]
    pipeline = [*others, resize, crop]
    found = Config({"train_dataloader": {"dataset": {"pipeline": pipeline}}})
    set_image_size(found, (64, 96))
    *kept, sized, cropped = found.train_dataloader.dataset.pipeline
    assert [dict(step) for step in kept] == others
    value = sized.get("scales", sized.get("scale"))
    assert (tuple(value) if isinstance(value[0], int) else [tuple(size) for size in value]) == wanted
    assert cropped.crop_size == (32, 48)


def test_steps_of_albumentations_stay() -> None:
    inner = {"type": "Resize", "height": 512, "width": 512}
    pipeline = [{"type": "Resize", "scale": (1333, 800)}, {"type": "Albu", "transforms": [inner]}]
    found = Config({"train_dataloader": {"dataset": {"pipeline": pipeline}}})
    set_image_size(found, (64, 96))
    first, albu = found.train_dataloader.dataset.pipeline
    assert tuple(first.scale) == (96, 64)
    assert dict(albu.transforms[0]) == inner


def test_types_may_come_with_their_scope_or_module() -> None:
    found = detector_config(DetectorSpec(RETINANET), ("thing",))
    for step in (*found.train_dataloader.dataset.pipeline, *found.test_dataloader.dataset.pipeline):
        if step["type"] == "Resize":
            step["type"] = "mmdet.datasets.transforms.transforms.Resize"
    set_image_size(found, (64, 96))
    assert sizes(found.train_dataloader.dataset.pipeline)["Resize"] == (96, 64)
    assert sizes(found.test_dataloader.dataset.pipeline)["Resize"] == (96, 64)


def test_a_pipeline_that_sizes_nothing_is_refused() -> None:
    centernet = "mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py"
    with pytest.raises(
        ConfigError, match=r"no step in the val_dataloader .* resizes.*val_dataloader\.dataset\.pipeline"
    ):
        sized(centernet)
