"""Images of an annotation file: where they lie, and whether their headers agree with what the file says."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from detkds_gp.data.annotation_file import whole_number
from detkds_gp.data.findings import Tally
from detkds_gp.data.header_reader import HeaderReader, ImageFile
from detkds_gp.data.headers import TURNED
from detkds_gp.errors import DataError


class NamedImage(NamedTuple):
    """An entry of an annotation file, with its file.

    Attributes:
        id: the entry's.
        name: its file's, from the folder of the images.
        path: its file's.
        width: pixels of the image as it is read; the entry's where the file has no readable head.
        height: pixels, likewise.
        file: what the head of the file says.
    """

    id: int
    name: str
    path: str
    width: int
    height: int
    file: ImageFile


def image_files(
    images: Sequence[dict[str, Any]], image_dir: Path, headers: HeaderReader, tally: Tally
) -> list[NamedImage]:
    """Find the files of entries, in a folder, and compare the header of each with what its entry says.

    Raises:
        DataError: an entry is broken, or an image is missing.
    """
    stated = [_stated_size(image, tally) for image in images]
    paths = [_path(image, str(image_dir), tally) for image in images]
    found = headers.read(paths)
    files = [file for file in found if file is not None]
    if len(files) < len(paths):
        first = paths[found.index(None)]
        raise DataError(
            f"{len(paths) - len(files)} of {len(paths)} images are missing, the first {first}; "
            f"check the image folder (got {image_dir})"
        )
    path_of = {file.place: path for path, file in zip(paths, files, strict=True)}
    for place, count in Counter(file.place for file in files).items():
        if count > 1:
            tally.add("entries", f"{os.path.basename(path_of[place])} has {count}")
    named = []
    for image, path, file, size in zip(images, paths, files, stated, strict=True):
        name = image["file_name"].replace("\\", "/")
        width, height = file.header[:2] if file.header.width else (size or (0, 0))
        named.append(NamedImage(image["id"], name, path, width, height, file))
        _compare(named[-1], size, tally)
    _explain_ratio(named, stated, tally)
    return named


def _stated_size(image: dict[str, Any], tally: Tally) -> tuple[int, int] | None:
    """Return (width, height) as the file says it; None where it does not."""
    given = [image.get(key) for key in ("width", "height") if image.get(key) not in (None, "")]
    sides = [side for side in map(whole_number, given) if side is not None]
    if len(sides) < len(given):
        raise DataError(f"not COCO format: broken entry of 'images': {image!r:.80}")
    for side in given:
        if isinstance(side, str):
            tally.add("numbers", f"width or height {side!r}")
    return (sides[0], sides[1]) if len(sides) == 2 and min(sides) > 0 else None


def _path(image: dict[str, Any], image_dir: str, tally: Tally) -> str:
    name = image["file_name"]
    if not isinstance(name, str) or "\0" in name:
        raise DataError(f"not COCO format: broken entry of 'images': {image!r:.80}")
    path = os.path.join(image_dir, name)
    if "\\" in name and not os.path.isfile(path):
        tally.add("backslashes", name)
        return os.path.join(image_dir, name.replace("\\", "/"))
    return path


def _compare(image: NamedImage, stated: tuple[int, int] | None, tally: Tally) -> None:
    name, header = image.name, image.file.header
    if header.unreadable:
        tally.add("broken_images", f"{name} {header.unreadable}")
        return
    size = header.width, header.height
    if header.orientation != 1:
        tally.add("orientation", f"{name} (orientation {header.orientation})")
    if header.bits > 8:
        tally.add("deep", f"{name} ({header.bits} bits)")
    if stated is None:
        tally.add("sizes", f"{name} ({size[0]}x{size[1]})")
    elif stated != size:
        exchanged = ", exchanged" if stated == size[::-1] else ""
        told = f"{name} has {size[0]}x{size[1]} pixels, the file says {stated[0]}x{stated[1]}{exchanged}"
        tally.add("turned_sizes" if exchanged and header.orientation in TURNED else "wrong_sizes", told)


def _explain_ratio(images: Sequence[NamedImage], stated: Sequence[tuple[int, int] | None], tally: Tally) -> None:
    """Say so where all images were scaled alike."""
    if tally["wrong_sizes"] < max(2, len(images)):
        return
    ratios = [
        side / told
        for image, size in zip(images, stated, strict=True)
        for side, told in zip((image.width, image.height), size or (), strict=True)
    ]
    if max(ratios) <= 1.02 * min(ratios):
        mean = sum(ratios) / len(ratios)
        tally.explain("wrong_sizes", f"all were scaled by {mean:.3g} after they were labelled, so it seems")
