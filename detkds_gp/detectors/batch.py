"""Turns images and ground truth into mmdet's input, and its predictions into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from detkds_gp.detections import Detections

from .masks import resized_masks, run_lengths
from .modes import evaluating


@dataclass(frozen=True)
class ImageInput:
    """One resized and padded image with its ground truth.

    Attributes:
        array: (H, W, 3) uint8 BGR; the image stands at the top left, padding below and to the right.
        resized: (height, width) of the image in ``array`` without the padding, in pixels.
        scale: (width, height) factors from original to resized pixels.
        original: (height, width) of the image as stored.
        boxes: (R, 4) xyxy in original pixels; R may be 0.
        labels: (R,) class indices.
        image_id: the image's id in its annotations.
        masks: R COCO segmentations (polygons or RLE) in original pixels; only a detector with a mask head needs
            them, and only to be trained.
    """

    array: np.ndarray
    resized: tuple[int, int]
    scale: tuple[float, float]
    original: tuple[int, int]
    boxes: np.ndarray
    labels: np.ndarray
    image_id: int
    masks: Sequence[Any] | None = None


def make_batch(
    items: Sequence[ImageInput], flips: Sequence[bool] | None = None, *, masks: bool = False
) -> dict[str, Any]:
    """Make the batch that a detector's ``data_preprocessor`` takes and normalises its own way.

    Args:
        items: the images, all padded to one shape.
        flips: which images to mirror left to right, within their resized width (padding stays at the right).
        masks: draw the objects' masks, which a detector trains on that ``finds_masks``.

    Returns:
        ``{"inputs": [(3, H, W) uint8], "data_samples": [DetDataSample]}``, as mmdet's ``pseudo_collate`` gives.

    Raises:
        DataError: masks are asked for, and an object has none that can be drawn.
    """
    pairs = list(zip(items, [False] * len(items) if flips is None else flips, strict=True))
    return {
        "inputs": [_pixels(item, flip) for item, flip in pairs],
        "data_samples": [_sample(item, flip, masks) for item, flip in pairs],
    }


def predict(detector: BaseDetector, batch: dict[str, Any]) -> list[Detections]:
    """Detect objects in eval mode without grad; train and eval flags are as before afterwards.

    Args:
        detector: on any device.
        batch: from ``make_batch``; it is not changed.

    Returns:
        For each image its detections in original pixels; those of a flipped image are flipped back.
    """
    with evaluating(detector):
        data = detector.data_preprocessor(batch, False)
        flips = [sample.flip for sample in data["data_samples"]]
        for sample in data["data_samples"]:  # copies
            height, width = sample.img_shape
            # mmdet's cascades mirror masks of flipped images, and fail; CenterNet asks from where to where its image is
            sample.set_metainfo({"flip": False, "border": (0, height, 0, width)})
        samples = detector.predict(data["inputs"], data["data_samples"], rescale=True)
    return [_detections(sample, flip) for sample, flip in zip(samples, flips, strict=True)]


def _pixels(item: ImageInput, flip: bool) -> Tensor:
    array = item.array
    if flip:
        width = item.resized[1]
        array = array.copy()
        array[:, :width] = item.array[:, :width][:, ::-1]
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def _sample(item: ImageInput, flip: bool, masks: bool) -> DetDataSample:
    padded = item.array.shape[:2]
    sample = DetDataSample(
        metainfo={
            "img_id": item.image_id,
            "img_shape": item.resized,
            "ori_shape": item.original,
            "pad_shape": padded,
            "batch_input_shape": padded,
            "scale_factor": item.scale,
            "flip": flip,
            "flip_direction": "horizontal" if flip else None,
        }
    )
    sample.gt_instances = InstanceData(
        bboxes=_resized_boxes(item, flip),
        labels=torch.as_tensor(np.asarray(item.labels).reshape(-1), dtype=torch.long),
    )
    if masks:
        sample.gt_instances.masks = resized_masks(item, flip)
    return sample


def _resized_boxes(item: ImageInput, flip: bool) -> Tensor:
    """Return the boxes (R, 4) in resized pixels, clipped to the image, then flipped."""
    height, width = item.resized
    boxes = torch.as_tensor(np.asarray(item.boxes).reshape(-1, 4), dtype=torch.float32)
    boxes = boxes * boxes.new_tensor(item.scale * 2)
    x = boxes[:, 0::2].clamp(0, width)
    y = boxes[:, 1::2].clamp(0, height)
    if flip:
        x = width - x.flip(1)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)


def _detections(sample: DetDataSample, flip: bool) -> Detections:
    found = sample.pred_instances
    boxes, masks = found.bboxes.float().cpu().numpy(), found.get("masks")
    if flip:
        width = sample.ori_shape[1]
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
        masks = None if masks is None else masks.flip(-1)
    encoded = None if masks is None else run_lengths(masks.cpu().numpy())
    return Detections(boxes, found.scores.float().cpu().numpy(), found.labels.cpu().numpy(), encoded)
