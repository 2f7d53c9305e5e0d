from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from detkds_gp.data.images import ImageStore, load_image
from detkds_gp.data.split import ImageRecord
from detkds_gp.errors import DataError


def _record(path: Path, width: int, height: int) -> ImageRecord:
    boxes, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    return ImageRecord(1, path, width, height, boxes, labels, (), ())


def _image(path: Path, width: int, height: int, seed: int = 0) -> ImageRecord:
    """Write a smooth random image."""
    coarse = np.random.default_rng(seed).integers(1, 255, (5, 5, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return _record(path, width, height)


def test_same_size_is_the_file_itself(tmp_path):
    record = _image(tmp_path / "a.png", 31, 17)
    loaded = load_image(record, (17, 31))
    np.testing.assert_array_equal(loaded.pixels[..., ::-1], np.asarray(Image.open(record.path)))
    assert loaded.scale == (1.0, 1.0)
    assert loaded.resized_shape == (17, 31)


@pytest.mark.parametrize(
    ("width", "height", "size", "resized"),
    [
        (640, 480, (120, 160), (120, 160)),
        (200, 100, (64, 64), (32, 64)),
        (100, 200, (64, 64), (64, 32)),
        (100, 200, (64, 128), (64, 32)),  # upright in a lying size
        (33, 77, (100, 100), (100, 43)),  # 33 * 100 / 77 = 42.86
        (500, 3, (64, 64), (1, 64)),  # 3 * 64 / 500 = 0.38, but a row must remain
    ],
)
def test_resize_keeps_the_ratio_and_pads_with_zeros(tmp_path, width, height, size, resized):
    pixels, scale, shape = load_image(_image(tmp_path / "a.png", width, height), size)
    assert pixels.shape == (*size, 3)
    assert pixels.dtype == np.uint8
    assert shape == resized
    assert scale == pytest.approx((resized[1] / width, resized[0] / height))
    assert not pixels[shape[0] :].any()
    assert not pixels[:, shape[1] :].any()
    assert pixels[: shape[0], : shape[1]].any(axis=2).all()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (333, 199), (121, 120), (57, 41)])
def test_pixels_are_those_of_the_mmdet_pipeline(tmp_path, width, height):
    transforms = pytest.importorskip("mmcv.transforms")
    record = _image(tmp_path / "a.jpg", width, height)
    results = transforms.LoadImageFromFile()({"img_path": str(record.path)})
    results = transforms.Resize(scale=(160, 120), keep_ratio=True)(results)
    pixels, scale, shape = load_image(record, (120, 160))
    assert shape == results["img_shape"]
    assert scale == pytest.approx(results["scale_factor"])
    np.testing.assert_array_equal(pixels[: shape[0], : shape[1]], results["img"])


def test_exif_orientation_is_applied(tmp_path):
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, exif=exif)
    turned = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
    loaded = load_image(_record(tmp_path / "a.jpg", 24, 40), (40, 24)).pixels[..., ::-1]
    assert turned.shape == loaded.shape
    assert np.abs(turned.astype(int) - loaded).max() <= 3  # two JPEG decoders


def test_images_that_cannot_be_used_are_named(tmp_path):
    record = _image(tmp_path / "a.png", 8, 8)
    with pytest.raises(DataError, match=r"a.png: got 8x8 pixels .* its header said 9x8; it has changed since"):
        load_image(_record(record.path, 9, 8), (8, 8))
    record.path.write_text("no image")
    with pytest.raises(DataError, match=r"a.png is no image that OpenCV knows \(it starts with b'no image'\)"):
        load_image(record, (8, 8))
    record.path.write_bytes(b"")
    with pytest.raises(DataError, match=r"a.png is empty"):
        load_image(record, (8, 8))
    record.path.write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()[:-20])
    with pytest.raises(DataError, match=r"a.png is truncated"):
        load_image(record, (8, 8))
    record.path.unlink()
    with pytest.raises(DataError, match=r"a.png: No such file"):
        load_image(record, (8, 8))


def test_more_pixels_than_opencv_takes_are_told_with_file_and_limit(tmp_path):
    path = tmp_path / "huge.png"
    head = (40_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(len(c).to_bytes(4, "big") + n + c + zlib.crc32(n + c).to_bytes(4, "big") for n, c in chunks)
    )
    with pytest.raises(DataError, match=r"huge.png: OpenCV refuses it .*at most 2\^30 pixels"):
        load_image(_record(path, 40_000, 40_000), (8, 8))


def test_store_reads_once_up_to_its_limit(tmp_path):
    records = [_image(tmp_path / f"{i}.png", 8, 8, seed=i) for i in range(3)]
    store = ImageStore(records, (8, 8), limit_bytes=2 * 8 * 8 * 3)
    before = [store[i].pixels.copy() for i in range(3)]
    for record in records:
        cv2.imwrite(str(record.path), np.zeros((8, 8, 3), np.uint8))
    np.testing.assert_array_equal(store[0].pixels, before[0])
    np.testing.assert_array_equal(store[-2].pixels, before[1])
    assert before[2].any()
    assert not store[2].pixels.any()  # beyond the limit: read anew
    assert len(store) == 3
    with pytest.raises(IndexError):
        store[3]
