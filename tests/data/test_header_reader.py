"""Many headers are read once, and again where a file changed."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from detkds_gp.data import header_reader
from detkds_gp.data.header_reader import HeaderReader, ImageFile
from detkds_gp.data.headers import ImageHeader


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """250 images of two widths, in one folder."""
    (tmp_path / "images").mkdir()
    names = [tmp_path / "images" / f"{number}.png" for number in range(250)]
    for number, name in enumerate(names):
        cv2.imwrite(str(name), np.zeros((4, 5 + number % 2, 3), np.uint8))
    return list(map(str, names))


def widths(found: list[ImageFile | None]) -> list[int]:
    return [file.header.width for file in found if file is not None]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that every path whose header is read is added to."""
    read: list[str] = []
    real = header_reader.read_header

    def count(path: str, size: int | None = None) -> ImageHeader:
        read.append(path)
        return real(path, size)

    monkeypatch.setattr(header_reader, "read_header", count)
    return read


def test_headers_come_in_the_order_of_the_paths_and_what_is_missing_is_none(paths: list[str]) -> None:
    found = HeaderReader().read([*paths, paths[0] + "x", os.path.dirname(paths[0])])
    assert widths(found) == [5, 6] * 125
    assert found[250:] == [None, None]
    assert found[3].size == os.path.getsize(paths[3])


def test_only_what_changed_is_read_again(paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    first = HeaderReader(tmp_path / "cache").read(paths)
    assert len(read) == 250
    read.clear()
    assert HeaderReader(tmp_path / "cache").read(paths) == first
    assert read == []
    cv2.imwrite(paths[7], np.zeros((4, 99, 3), np.uint8))
    os.utime(paths[8], (1, 1))
    assert widths(HeaderReader(tmp_path / "cache").read(paths))[7] == 99
    assert sorted(read) == [paths[7], paths[8]]
    read.clear()
    HeaderReader(tmp_path / "cache").read(paths[:220])
    HeaderReader(tmp_path / "cache").read(paths)
    assert read == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"0.png": 5}', b'{"0.png": [1, 2]}'])
def test_a_damaged_file_of_headers_is_no_fault(content: bytes, paths: list[str], tmp_path: Path) -> None:
    HeaderReader(tmp_path / "cache").read(paths)
    (kept,) = (tmp_path / "cache" / "headers").iterdir()
    kept.write_bytes(content)
    assert widths(HeaderReader(tmp_path / "cache").read(paths)) == [5, 6] * 125


def test_a_cache_that_cannot_be_written_is_done_without(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert widths(HeaderReader(tmp_path / "cache").read(paths)) == [5, 6] * 125


def test_progress_is_told_to_the_end(paths: list[str]) -> None:
    told: list[tuple[int, int]] = []
    HeaderReader(progress=lambda done, total: told.append((done, total))).read(paths)
    assert told == [(100, 250), (200, 250), (250, 250)]


def test_two_paths_to_one_file_have_one_place(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(paths[0])
    one, other, link = HeaderReader().read([paths[0], paths[1], str(tmp_path / "link.png")])
    assert one.place == link.place != other.place
