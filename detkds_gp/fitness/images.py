"""A split as the detectors take it, and the plan by which a seed's trainings see its images."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from detkds_gp.data.images import ImageStore
from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import ImageInput, make_batch

Drawn = tuple[list[int], list[bool], dict[str, Any]]
"""Indices of the images, which are mirrored, and the batch of `make_batch`."""


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


def plan(images: int, batch_size: int, seed: int) -> Iterator[tuple[list[int], list[bool]]]:
    """Yield (image indices, flips) of one batch after the other, without end.

    Every image comes once per pass, in an order drawn per pass; a pass may end within a batch. A shorter
    training sees a prefix of a longer one's batches.
    """
    rng = random.Random(f"plan/{seed}")
    waiting: list[int] = []
    while True:
        while len(waiting) < batch_size:
            order = list(range(images))
            rng.shuffle(order)
            waiting += order
        indices, waiting = waiting[:batch_size], waiting[batch_size:]
        yield indices, [rng.random() < 0.5 for _ in indices]


def drawn(images: SplitImages, batch_size: int, seed: int, *, masks: bool, begin: int = 0) -> Iterator[Drawn]:
    """Yield the batches of a plan without end, from the step ``begin`` on.

    Raises:
        DataError: an image cannot be read, or ``masks`` are asked for and an object has none that can be drawn.
    """
    for indices, flips in islice(plan(len(images), batch_size, seed), begin, None):
        yield indices, flips, make_batch([images[index] for index in indices], flips, masks=masks)
