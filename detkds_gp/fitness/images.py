"""A split as the detectors take it: images resized once and held in memory, ground truth beside them."""

from __future__ import annotations

from collections.abc import Sequence

from detkds_gp.data.images import ImageStore
from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import ImageInput


class SplitImages(Sequence[ImageInput]):
    """The images of a split, each decoded and resized once while memory allows.

    Args:
        split: images and ground truth.
        size: (H, W) that every image is resized and padded to.
        limit_bytes: memory for decoded images; beyond it they are read from disk every time.
    """

    def __init__(self, split: CocoSplit, size: tuple[int, int], limit_bytes: int) -> None:
        self.split = split
        self._store = ImageStore(split.images, size, limit_bytes)

    def __len__(self) -> int:
        return len(self.split.images)

    def __getitem__(self, index: int) -> ImageInput:  # type: ignore[override]
        record = self.split.images[index]
        loaded = self._store[index]
        return ImageInput(
            array=loaded.pixels,
            resized=loaded.resized_shape,
            scale=loaded.scale,
            original=(record.height, record.width),
            boxes=record.boxes,
            labels=record.labels,
            image_id=record.id,
            masks=record.masks,
        )
