from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detkds_gp.data.voc import convert_voc
from detkds_gp.data.voc_reader import verdict_on
from detkds_gp.errors import DataError

from .made_layouts import SIZE, objects_on_their_blocks, voc, xml

SPLITS = ("train", "selection", "test")
SMALL = [np.array([1.0, 1, 10, 10])]


@pytest.mark.parametrize(
    ("stated", "size", "box", "verdict"),
    [
        ((96, 64), (96, 64), (1, 1, 96, 64), "as stated"),
        (None, (96, 64), (1, 1, 96, 64), "unstated"),
        ((96, 64), (48, 32), (80, 40, 96, 64), "scaled"),
        ((96, 64), (192, 128), (80, 40, 96, 64), "scaled"),
        ((500, 333), (250, 167), (1, 1, 400, 300), "scaled"),  # rounded
        ((500, 375), (500, 374), (1, 1, 400, 300), "kept"),
        ((96, 64), (192, 128), (150, 100, 190, 120), "kept"),  # the box fits the image and not what is stated
        ((64, 96), (96, 64), (80, 10, 90, 20), "kept"),  # exchanged, a fault of many scripts
        ((64, 96), (96, 64), (10, 10, 20, 20), "kept"),
        ((640, 480), (416, 416), (1, 1, 100, 100), "refused"),  # stretched or with borders?
        ((640, 480), (416, 416), (500, 10, 600, 100), "refused"),
    ],
)
def test_the_verdict(stated: tuple[int, int] | None, size: tuple[int, int], box: tuple[int, ...], verdict: str) -> None:
    assert verdict_on(stated, size, [np.array(box, float)]) == verdict


def test_boxes_on_the_stored_pixels_of_a_turned_image_are_refused() -> None:
    assert verdict_on((64, 96), (96, 64), SMALL, turned=True) == "refused"


@settings(deadline=None, max_examples=60)
@given(st.integers(30, 900), st.integers(30, 900), st.floats(0.3, 4))
def test_a_resize_is_told_from_its_rounded_sizes(width: int, height: int, factor: float) -> None:
    size = round(width * factor), round(height * factor)
    box = [np.array([1.0, 1, width, height])]
    verdict = verdict_on((width, height), size, box)
    assert verdict in ("as stated", "scaled", "kept")
    assert verdict == "scaled" or np.abs(box[0][2:] - size).max() <= 2


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_boxes_of_resized_images_lie_on_their_objects(factor: float, tmp_path: Path) -> None:
    root = tmp_path / "voc"
    voc(root, 8)
    for path in (root / "JPEGImages").iterdir():
        if path.stem != "003":
            pixels = cv2.imread(str(path))
            size = round(SIZE[0] * factor), round(SIZE[1] * factor)
            cv2.imwrite(str(path), cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))
    report = convert_voc(root, tmp_path / "out")
    assert report.counts["scaled"] == 7
    assert "7 images have another size than their XML states (000.xml: 48x32, the image" in str(report)
    assert "boxes scaled by the ratio" in (tmp_path / "out/conversion.txt").read_text()
    if factor != 0.5:  # halved, odd edges lie between two pixels
        for split in SPLITS:
            count, right = objects_on_their_blocks(tmp_path / "out", f"{split}.json", "images")
            assert count == right == report.boxes[split]


def _oriented(path: Path, orientation: int) -> None:
    """Put an EXIF orientation into a JPEG."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    raw = path.read_bytes()
    path.write_bytes(raw[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + raw[2:])


def test_turned_images_annotated_as_they_are_stored_are_left_out_by_name(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    voc(root, 6)
    path = root / "JPEGImages/000.png"
    path.with_suffix(".jpg").write_bytes(cv2.imencode(".jpg", cv2.imread(str(path)))[1].tobytes())
    path.unlink()
    _oriented(path.with_suffix(".jpg"), 6)
    assert cv2.imread(str(path.with_suffix(".jpg"))).shape[:2] == SIZE  # turned: the sides are exchanged
    report = convert_voc(root, tmp_path / "out")
    assert report.left_out == ("Annotations/000.xml states 48x32, the image 32x48: no telling where its boxes are",)


def test_a_folder_of_stretched_images_is_refused_with_the_reason(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    voc(root, 6)
    for number in range(6):
        xml(root / f"Annotations/{number:03d}.xml", f"{number:03d}.png", number, size=(640, 480))
    with pytest.raises(
        DataError, match="no object in 0 images.*left out: Annotations/000.xml states 640x480, the image 48x32"
    ):
        convert_voc(root, tmp_path / "out")
