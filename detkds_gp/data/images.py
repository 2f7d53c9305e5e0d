"""Decodes images to one fixed padded shape, and holds them in memory as far as it is allowed to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from detkds_gp.data.headers import read_header
from detkds_gp.data.split import ImageRecord
from detkds_gp.errors import DataError


class LoadedImage(NamedTuple):
    """An image at the fixed shape.

    Attributes:
        pixels: (H, W, 3) uint8, BGR; zeros right of and below the image.
        scale: (width factor, height factor) from original to resized pixels.
        resized_shape: (h, w) of the image within ``pixels``.
    """

    pixels: np.ndarray
    scale: tuple[float, float]
    resized_shape: tuple[int, int]


def load_image(record: ImageRecord, size: tuple[int, int]) -> LoadedImage:
    """Decode an image, resize it with its ratio kept to fit ``size``, pad it with zeros.

    Decoding is that of mmdet's ``LoadImageFromFile`` (EXIF orientation applied); the resize is
    bilinear and rounds like ``mmcv.imrescale``, so that ``Resize(scale=(W, H), keep_ratio=True)``
    agrees. Only an image that stands upright in a lying ``size`` (or lies in an upright one)
    differs: mmcv swaps the sides for it, which would not fit the fixed shape.

    Args:
        record: what to load.
        size: (H, W) of the result.

    Raises:
        DataError: the file cannot be decoded, or has another size than the annotations say.
    """
    image = _checked(record)
    height, width = image.shape[:2]
    factor = min(size[0] / height, size[1] / width)
    new_height, new_width = (max(1, int(side * factor + 0.5)) for side in (height, width))
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:new_height, :new_width] = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    return LoadedImage(pixels, (new_width / width, new_height / height), (new_height, new_width))


class ImageStore:
    """A sequence of loaded images: each is decoded once and kept while the memory limit allows.

    Images beyond the limit are read from disk every time. The kept arrays are shared: do not write
    into them.

    Args:
        records: the images, in the order of the indices.
        size: (H, W) of every loaded image.
        limit_bytes: how much memory the kept pixels may take; 0 keeps nothing.
    """

    def __init__(self, records: Sequence[ImageRecord], size: tuple[int, int], limit_bytes: int = 1 << 30) -> None:
        self._records = records
        self._size = size
        self._room = limit_bytes
        self._kept: dict[int, LoadedImage] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> LoadedImage:
        """Return ``load_image`` of ``records[index]``, remembered or new."""
        index = range(len(self))[index]
        if index in self._kept:
            return self._kept[index]
        loaded = load_image(self._records[index], self._size)
        if loaded.pixels.nbytes <= self._room:
            self._room -= loaded.pixels.nbytes
            self._kept[index] = loaded
        return loaded


def decode(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """Return (H, W, 3) uint8 BGR, EXIF orientation applied, or what OpenCV's flags say; None if it cannot decode it.

    Raises:
        OSError: the file cannot be read.
        DataError: OpenCV refuses it, as it does more than 2^30 pixels.
    """
    encoded = np.fromfile(path, np.uint8)
    try:
        return cv2.imdecode(encoded, flags) if encoded.size else None
    except cv2.error as error:
        limit = "it reads at most 2^30 pixels, 2^20 a side: make the image smaller"
        raise DataError(f"{path}: OpenCV refuses it ({error.err}); {limit}") from None


def decoded_if_possible(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """Return what `decode` does, and None also where the file cannot be read or is refused."""
    with suppress(OSError, DataError):
        return decode(path, flags)
    return None


def _checked(record: ImageRecord) -> np.ndarray:
    try:
        image = decode(record.path)
    except OSError as error:
        raise DataError(f"{record.path}: {error.strerror}; restore the image") from None
    if image is None:
        fault = read_header(record.path).fault or "cannot be decoded by OpenCV"
        raise DataError(f"{record.path} {fault}; replace it or remove its entry")
    height, width = image.shape[:2]
    if (width, height) != (record.width, record.height):
        raise DataError(
            f"{record.path}: got {width}x{height} pixels (EXIF orientation applied), but its header said "
            f"{record.width}x{record.height}; it has changed since: start again"
        )
    return image
