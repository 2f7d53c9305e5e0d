"""Conversions of other formats to COCO: what is written, and which sources it was written from."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from detkds_gp.atomic import atomic_folder, holds_files
from detkds_gp.data.folders import CONVERSION, IMAGE_SUFFIXES, name_below
from detkds_gp.errors import DataError

READ = IMAGE_SUFFIXES | {".xml", ".txt", ".yaml", ".yml", ".names", ".data"}
"""The suffixes of files that a conversion may read."""
SHOWN = 5


@dataclass(frozen=True)
class Object:
    """One object as it will be written.

    Attributes:
        name: its class.
        bbox: x, y, width, height in pixels of the image, continuous from 0.
        ignore: whether training does not see it.
        polygon: x1, y1, x2, y2, ... where the source outlines it.
        area: of the polygon; None: that of the box.
    """

    name: str
    bbox: tuple[float, float, float, float]
    ignore: bool = False
    polygon: tuple[float, ...] = ()
    area: float | None = None


@dataclass
class Page:
    """One image with its objects."""

    image: Path
    width: int
    height: int
    objects: list[Object] = field(default_factory=list)


@dataclass(frozen=True)
class Conversion:
    """A data set as it is written, and what was mended and left out.

    Attributes:
        splits: the images of train, selection and test.
        classes: names in the order of the labels.
        origin: what decided the splits: ``lists``, ``folders``, ``random``, or the file that describes the data set.
        counts: how often something was mended or left out, by the words of `convert_voc` and `convert_yolo`.
        left_out: files and lines that could not be used, by name.
        notes: what was mended, left out and odd, in lines.
        noun: what objects are called.
    """

    splits: dict[str, list[Page]]
    classes: tuple[str, ...]
    origin: str
    counts: Counter[str]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    noun: str

    @property
    def images(self) -> dict[str, int]:
        """How many images each split has."""
        return {split: len(pages) for split, pages in self.splits.items()}

    @property
    def boxes(self) -> dict[str, int]:
        """How many objects each split has."""
        return {split: sum(len(page.objects) for page in pages) for split, pages in self.splits.items()}

    def __str__(self) -> str:
        """Say it in a few lines, naming what was left out."""
        boxes = self.boxes
        splits = ", ".join(f"{n} {split} images ({boxes[split]} {self.noun})" for split, n in self.images.items())
        way = "at random" if self.origin == "random" else f"by {self.origin}"
        return "\n".join([f"classes {', '.join(self.classes)}; {splits}; split {way}", *self.notes])

    def write(self, out_dir: Path, src: Path) -> None:
        """Write images/, a json file a split, and conversion.txt, which names the folder that was converted.

        ``out_dir``, new or empty, appears whole or not at all.

        Raises:
            DataError: the folder cannot be written.
        """
        try:
            with atomic_folder(out_dir) as folder:
                images = [page.image for pages in self.splits.values() for page in pages]
                names = _copy_images(images, src, folder / "images")
                for split, pages in self.splits.items():
                    (folder / f"{split}.json").write_text(json.dumps(_coco(pages, names, self.classes)))
                (folder / CONVERSION).write_text(f"converted from {src.resolve()}\n{self}\n")
        except OSError as error:
            raise DataError(f"{out_dir}: cannot be written ({error.strerror}); choose another folder") from None


def few(lines: Sequence[str]) -> str:
    """Return the first of many, and how many more there are."""
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def xywh(start: np.ndarray, end: np.ndarray) -> tuple[float, float, float, float]:
    """Return x, y, width, height of a box from its first corner (x, y) to its last."""
    (x, y), (width, height) = start.tolist(), (end - start).tolist()
    return x, y, width, height


def check_empty(out_dir: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        DataError: it does.
    """
    if holds_files(out_dir):
        raise DataError(f"{out_dir}: holds files already; choose another folder or delete it")


def sources_hash(files: Iterable[Path], root: Path, choice: str) -> str:
    """Return the sha256 (hex) of all that a conversion reads, and of the choice that else decides its result.

    That is names and bytes of the files below the folder to be converted, ``root``, and of others that they name.
    """
    digest = hashlib.sha256(f"{version('detkds_gp')} {choice}".encode())
    for path in files:
        if path.suffix.lower() in READ:
            content = path.read_bytes()
            digest.update(f"\n{name_below(path, root)} {len(content)}\n".encode(errors="surrogateescape"))
            digest.update(content)
    return digest.hexdigest()


def _copy_images(images: Sequence[Path], src: Path, target: Path) -> dict[Path, str]:
    """Copy the images under their own names, or with their folders in front where names collide."""
    target.mkdir()
    shared = Counter(image.name.casefold() for image in images)
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for image in sorted(images, key=lambda path: (shared[path.name.casefold()] > 1, path)):
        name = image.name
        if shared[name.casefold()] > 1:
            inside = image.is_relative_to(src)
            name = "_".join(image.relative_to(src).parts if inside else image.parts[-3:])
        while name.casefold() in taken:
            name = f"_{name}"
        taken.add(name.casefold())
        names[image] = name
        (target / name).write_bytes(image.read_bytes())
    return names


def _coco(pages: Sequence[Page], names: Mapping[Path, str], classes: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, page in enumerate(pages):
        images.append({"id": number, "file_name": names[page.image], "width": page.width, "height": page.height})
        for found in page.objects:
            row = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": classes.index(found.name),
                "bbox": list(found.bbox),
                "area": found.bbox[2] * found.bbox[3] if found.area is None else found.area,
                "iscrowd": 0,
                "ignore": int(found.ignore),
            }
            annotations.append({**row, "segmentation": [list(found.polygon)]} if found.polygon else row)
    categories = [{"id": label, "name": name} for label, name in enumerate(classes)]
    return {"images": images, "annotations": annotations, "categories": categories}
