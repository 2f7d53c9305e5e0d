"""Instance masks as mmdet takes and gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from faster_coco_eval import mask as coco_mask
from mmdet.models.dense_heads import RTMDetInsHead
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures.mask import BitmapMasks

from detkds_gp.errors import DataError, first_line

if TYPE_CHECKING:
    from .batch import ImageInput


def finds_masks(detector: BaseDetector) -> bool:
    """Return whether a detector predicts instance masks, and so needs them to be trained."""
    head = getattr(detector, "bbox_head", None)
    return bool(detector.with_mask) or hasattr(detector, "panoptic_head") or isinstance(head, RTMDetInsHead)


def resized_masks(item: ImageInput, flip: bool) -> BitmapMasks:
    """Draw the masks of an image's boxes: resized (nearest), padded with zeros and flipped like its pixels.

    Raises:
        DataError: the image comes without masks, or one cannot be drawn.
    """
    height, width = item.array.shape[:2]
    bitmaps = np.zeros((len(item.boxes), height, width), np.uint8)
    if item.masks is None or len(item.masks) != len(item.boxes):
        got = "none" if item.masks is None else len(item.masks)
        raise DataError(
            f"image {item.image_id}: got {got} masks for {len(item.boxes)} boxes, wanted one each for a detector with "
            "a mask head; label masks, or use a detector without one"
        )
    for bitmap, segmentation in zip(bitmaps, item.masks, strict=True):
        full = _drawn(segmentation, item)
        rows, columns = item.resized
        small = cv2.resize(full, (columns, rows), interpolation=cv2.INTER_NEAREST)
        bitmap[:rows, :columns] = small[:, ::-1] if flip else small
    return BitmapMasks(bitmaps, height, width)


def run_lengths(masks: np.ndarray) -> tuple[dict[str, Any], ...]:
    """Encode (D, H, W) masks, nonzero inside, as COCO's compressed RLE."""
    encoded = (coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks)
    return tuple({"size": list(rle["size"]), "counts": rle["counts"].decode()} for rle in encoded)


def _drawn(segmentation: Any, item: ImageInput) -> np.ndarray:
    """Return (H, W) uint8 of the original image, 1 inside."""
    height, width = item.original
    try:
        if isinstance(segmentation, list):
            rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation["counts"], list):
            rle = coco_mask.frPyObjects(segmentation, height, width)
        else:
            rle = segmentation
        drawn = coco_mask.decode(rle)
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(
            f"image {item.image_id}: the segmentation {segmentation!r:.60} cannot be drawn ({first_line(error)}), "
            "wanted COCO polygons or RLE; mend it"
        ) from None
    if drawn.shape != (height, width):
        raise DataError(
            f"image {item.image_id}: got a mask of {drawn.shape[1]}x{drawn.shape[0]} pixels, "
            f"the image has {width}x{height}; mend its size"
        )
    return drawn
