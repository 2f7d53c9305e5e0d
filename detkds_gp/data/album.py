"""An album: images painted once for everyone whose boxes are shown, and an index that says which is whose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from detkds_gp.atomic import atomic_file
from detkds_gp.data.drawn_boxes import COLOURS, draw_boxes, picture_of, written

INDEX = "album.json"
SIDE, QUALITY = 256, 72
"""Pixels of the longer side of a picture, and its JPEG quality: four dozen of them make half a megabyte."""

Boxes = Sequence[Sequence[float]]
"""Objects of an image: (x1, y1, x2, y2, score, class), pixels of the image."""


@dataclass(frozen=True)
class Shown:
    """An image, with the boxes to be shown on it by whose they are."""

    path: Path
    boxes: Mapping[str, Boxes]


def write_album(images: Sequence[Shown], classes: Sequence[str], folder: Path, **about: Any) -> None:
    """Paint images and write them, with their index last, in place of an album that is there.

    Args:
        images: in the order shown; one that cannot be decoded is left out.
        classes: names of labels.
        folder: made if missing.
        about: plain JSON values that the index tells besides.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for number, (name, painted) in enumerate(paint(images, classes)):
        files = {who: f"{number}-{place}.jpg" for place, who in enumerate(painted)}
        for who, file in files.items():
            (folder / file).write_bytes(painted[who])
        told.append({"name": name, "files": files})
    with atomic_file(folder / INDEX) as unfinished:
        unfinished.write_text(json.dumps({**about, "images": told}, indent=1), encoding="utf-8")


def paint(images: Sequence[Shown], classes: Sequence[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield of each image its file's name and, by whose boxes are painted, a JPEG; as for `write_album`."""
    names = written(classes)
    for image in images:
        if (plain := picture_of(image.path, SIDE)) is not None:
            yield image.path.name, {who: _painted(*plain, rows, names) for who, rows in image.boxes.items()}


def _painted(plain: Image.Image, scale: float, boxes: Boxes, names: Sequence[str]) -> bytes:
    picture = plain.copy()
    labels = [int(box[5]) for box in boxes]
    corners = [[scale * value for value in box[:4]] for box in boxes]
    draw_boxes(picture, corners, [names[n] for n in labels], [COLOURS[n % len(COLOURS)] for n in labels])
    jpeg = BytesIO()
    picture.save(jpeg, format="JPEG", quality=QUALITY)
    return jpeg.getvalue()
