"""Headers of image files: size, orientation and depth as OpenCV reads them, without decoding pixels."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

HEAD, TAIL = 8192, 512
"""Bytes that are looked at first: headers are seldom longer, and files end with their end marker."""
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's start-of-frame markers; the three left out are tables and extensions."""
ORIENTATION, TIFF_BITS = 0x0112, 0x0102
TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""
TRUNCATED = "is truncated: the file ends before its image does"


class ImageHeader(NamedTuple):
    """What the head of an image file says.

    Attributes:
        width: pixels, as the image is read: after its EXIF orientation.
        height: pixels, likewise.
        orientation: EXIF's, 1 to 8; 1 where the file has none, or where OpenCV does not follow it.
        bits: of a channel.
        fault: why it cannot be read, as "is ..."; empty where it can.
    """

    width: int
    height: int
    orientation: int = 1
    bits: int = 8
    fault: str = ""

    @property
    def unreadable(self) -> str:
        """Why OpenCV does not read the image, for its file or for its size; empty where it does."""
        if self.fault:
            return self.fault
        for name, got, most in (
            ("pixels", self.width * self.height, 1 << 30),
            ("width", self.width, 1 << 20),
            ("height", self.height, 1 << 20),
        ):
            setting = f"OPENCV_IO_MAX_IMAGE_{name.upper()}"
            limit = int(os.environ.get(setting, most))
            if got > limit:
                what = "pixels" if name == "pixels" else f"pixels of {name}"
                return (
                    f"has {self.width:,} x {self.height:,} pixels, and OpenCV reads at most {limit:,} {what}; "
                    f"cut or scale it (boxes too), or set {setting} in the environment"
                )
        return ""


def read_header(path: str | Path, size: int | None = None) -> ImageHeader:
    """Return the header of an image file, as ``cv2.imdecode`` with ``IMREAD_COLOR`` would read the image.

    Pixels are decoded only where the end of the file looks cut off, or where no other reader knows the format. Its
    size in bytes saves a look, if it is known.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
        size = os.fstat(file.fileno()).st_size if size is None else size
        file.seek(max(0, size - TAIL))
        tail = file.read()
        if head[:2] == b"\xff\xd8":
            parse, whole = _jpeg, b"\xff\xd9" in tail
        elif head[:8] == b"\x89PNG\r\n\x1a\n":
            parse, whole = _png, b"IEND" in tail
        else:
            return _other(path, head, size)
        try:
            found = parse(head)
        except (IndexError, struct.error):
            file.seek(0)
            try:
                found = parse(file.read())
            except (IndexError, struct.error):
                found = ImageHeader(0, 0, fault=TRUNCATED)
    return found if whole or found.fault else _decoded(path, found)


def _jpeg(data: bytes) -> ImageHeader:
    """Walk the segments of a JPEG up to its frame.

    Raises:
        IndexError: the data end before the frame.
        struct.error: likewise.
    """
    at, orientation = 2, 1
    while True:
        while data[at] != 0xFF:  # as libjpeg: skip what is no marker
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in (0xD9, 0xDA):
            return ImageHeader(0, 0, fault=TRUNCATED)
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in FRAMES:
            bits, height, width = struct.unpack_from(">BHH", data, at + 2)
            return _turned(width, height, orientation, bits)
        if marker == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0":
            if len(data) < at + length:
                raise IndexError
            orientation = _orientation(data[at + 8 : at + length])
        at += length


def _png(data: bytes) -> ImageHeader:
    """Walk the chunks of a PNG up to its pixels; errors as in `_jpeg`."""
    width, height, bits = struct.unpack_from(">IIB", data, 16)
    at, orientation = 8, 1
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        if name in (b"IDAT", b"IEND"):
            return _turned(width, height, orientation, bits)
        if name == b"eXIf":
            if len(data) < at + 8 + length:
                raise IndexError
            orientation = _orientation(data[at + 8 : at + 8 + length])
        at += 12 + length


def _orientation(tiff: bytes) -> int:
    """Return the orientation of EXIF data; 1 where there is none that counts."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == ORIENTATION and kind == 3:
                (value,) = struct.unpack_from(order + "H", tiff, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _turned(width: int, height: int, orientation: int, bits: int) -> ImageHeader:
    if orientation in TURNED:
        width, height = height, width
    return ImageHeader(width, height, orientation, bits)


def _other(path: str | Path, head: bytes, size: int) -> ImageHeader:
    """Read BMP, TIFF, WebP and what else Pillow knows; decode what it does not."""
    if not size:
        return ImageHeader(0, 0, fault="is empty")
    if not cv2.haveImageReader(str(path)):
        return ImageHeader(0, 0, fault=f"is no image that OpenCV knows (it starts with {head[:24]!r})")
    whole = size >= _told_size(head)
    try:
        with Image.open(path) as image:
            header = _by_pillow(image)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return _decoded(path, ImageHeader(0, 0), "cannot be decoded by OpenCV" if whole else TRUNCATED)
    return header if whole else _decoded(path, header)


def _by_pillow(image: Image.Image) -> ImageHeader:
    width, height = image.size
    orientation = image.getexif().get(ORIENTATION, 1) if image.format in ("WEBP", "TIFF") else 1
    bits = 16 if image.mode.startswith(("I", "F")) else 8
    if image.format == "TIFF":
        told = image.getexif().get(TIFF_BITS, bits)  # one number, or one a channel
        bits = max(told) if isinstance(told, tuple) else int(told)
        return ImageHeader(width, height, orientation, bits)  # Pillow has turned the size already
    return _turned(width, height, orientation, bits)


def _told_size(head: bytes) -> int:
    """Return the bytes that a WebP or BMP file says it has; 0 of another format."""
    if head[:4] == b"RIFF" and len(head) >= 8:
        return 8 + int(struct.unpack_from("<I", head, 4)[0])
    return int(struct.unpack_from("<I", head, 2)[0]) if head[:2] == b"BM" and len(head) >= 6 else 0


def _decoded(path: str | Path, header: ImageHeader, fault: str = TRUNCATED) -> ImageHeader:
    """Decode an image that may be cut off; one that OpenCV does not read has the fault."""
    if header.unreadable:
        return header
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        return ImageHeader(0, 0, fault=f"cannot be decoded by OpenCV ({' '.join(str(error).split())[-80:]})")
    if pixels is None:
        return header._replace(fault=fault)
    height, width = pixels.shape[:2]
    return ImageHeader(width, height, header.orientation, 8 * pixels.itemsize)
