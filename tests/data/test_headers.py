"""Headers say what OpenCV's decoder makes of a file."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from detkds_gp.data.headers import TRUNCATED, TURNED, ImageHeader, read_header

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp", "GIF": "gif"}


def encoded(kind: str, orientation: int | None = None, **more: object) -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    written = io.BytesIO()
    Image.fromarray(PIXELS).save(written, kind, **({"exif": exif} if orientation else {}), **more)
    return written.getvalue()


def seen(path: Path) -> tuple[int, int] | None:
    """Return (width, height) of what OpenCV decodes."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    return None if pixels is None else pixels.shape[1::-1]


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_sizes_are_those_of_the_decoded_image(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{FORMATS[kind]}"
    path.write_bytes(encoded(kind))
    assert read_header(path) == ImageHeader(50, 30)
    assert seen(path) == (50, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientations_are_applied_as_opencv_does(kind: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{FORMATS[kind]}"
    path.write_bytes(encoded(kind, orientation))
    header = read_header(path)
    assert header[:2] == seen(path)
    assert header.orientation == orientation
    assert (header[1::-1] if orientation in TURNED else header[:2]) == (50, 30)


@pytest.mark.parametrize("more", [{"progressive": True}, {"quality": 100, "subsampling": 0}, {"comment": b"x" * 60000}])
def test_jpegs_of_other_kinds_and_with_long_heads(more: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG", 6, **more))
    assert read_header(path)[:2] == seen(path) == (30, 50)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_both_byte_orders_of_exif(byte_order: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.endian = byte_order
    exif[0x0112] = 8
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif)
    assert read_header(tmp_path / "a.jpg")[:3] == (*seen(tmp_path / "a.jpg"), 8)


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_what_was_cut_off_is_told_as_truncated(kind: str, share: float, tmp_path: Path) -> None:
    path, whole = tmp_path / f"a.{FORMATS[kind]}", encoded(kind)
    path.write_bytes(whole[: max(12, int(len(whole) * share))])
    assert seen(path) is None
    assert read_header(path).unreadable
    if share > 0.1:
        assert read_header(path).fault == TRUNCATED


@pytest.mark.parametrize("rest", [b"\0" * 3000, b"appended by a camera"])
def test_what_follows_the_image_is_no_fault(rest: bytes, tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG"):
        path = tmp_path / f"a.{FORMATS[kind]}"
        path.write_bytes(encoded(kind) + rest)
        assert seen(path) == (50, 30)
        assert read_header(path) == ImageHeader(50, 30)


def test_depths(tmp_path: Path) -> None:
    deep = PIXELS.astype(np.uint16) * 9
    for name, pixels in (("rgb.png", deep), ("grey.png", deep[..., 0]), ("rgb.tif", deep), ("grey.tif", deep[..., 0])):
        cv2.imwrite(str(tmp_path / name), pixels)
        assert read_header(tmp_path / name) == ImageHeader(50, 30, bits=16)
    cv2.imwrite(str(tmp_path / "plain.png"), PIXELS[..., 0])
    assert read_header(tmp_path / "plain.png").bits == 8


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"")
    assert read_header(path).fault == "is empty"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a")
    assert "is no image that OpenCV knows (it starts with b'version https" in read_header(path).fault
    with pytest.raises(OSError, match="No such file"):
        read_header(tmp_path / "none.jpg")


def test_what_is_beyond_opencvs_limit_is_told_from_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded("PNG"))
    header = read_header(path)._replace(width=40_000, height=40_000)
    assert header.unreadable.startswith("has 40,000 x 40,000 pixels, and OpenCV reads at most 1,073,741,824 pixels; ")
    assert "1,048,576 pixels of height" in header._replace(width=1, height=1 << 21).unreadable
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 40))
    assert not header.unreadable
