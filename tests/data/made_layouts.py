"""Small data sets as annotation tools lay them out: an image is gray with one coloured block an object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIZE = (48, 32)
"""Width and height of every image."""
COLOURS = {"cat": (0, 0, 255), "dog": (0, 255, 0), "cow": (255, 0, 0)}
CLASSES = tuple(COLOURS)
Box = tuple[str, int, int, int, int]
"""Class, x, y, width, height in pixels."""


def boxes_of(number: int) -> list[Box]:
    """Return the two objects of an image, which differ from image to image."""
    return [
        (CLASSES[number % 3], 2 + number % 5, 3, 12, 9),
        (CLASSES[(number + 1) % 3], 24, 14 + number % 4, 16, 10),
    ]


def draw(path: Path, number: int) -> None:
    """Write an image with its objects."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 100 + number, np.uint8)
    for name, x, y, width, height in boxes_of(number):
        pixels[y : y + height, x : x + width] = COLOURS[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def coco(path: Path, names: Sequence[str], numbers: Sequence[int], **changes: Any) -> None:
    """Write an annotation file; ``first_id`` of images, annotations and categories."""
    first = changes.get("first_id", 1)
    images, annotations = [], []
    for position, (name, number) in enumerate(zip(names, numbers, strict=True)):
        images.append({"id": first + position, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        for label, x, y, width, height in boxes_of(number):
            annotations.append(
                {
                    "id": first + len(annotations),
                    "image_id": first + position,
                    "category_id": first + CLASSES.index(label),
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": first + number, "name": name} for number, name in enumerate(CLASSES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def split(root: Path, ann_file: str, folder: str, names: Sequence[str], start: int = 0) -> None:
    """Write a split: its annotation file, and its images into a folder; names in the file are the images'."""
    numbers = range(start, start + len(names))
    for name, number in zip(names, numbers, strict=True):
        draw(root / folder / name, number)
    coco(root / ann_file, names, list(numbers))


def names(prefix: str, count: int) -> list[str]:
    """Return image names."""
    return [f"{prefix}_{number:02d}.png" for number in range(count)]


def label(number: int) -> str:
    """Return the lines of an image's label file in YOLO format."""
    lines = []
    for name, x, y, width, height in boxes_of(number):
        centre = (x + width / 2) / SIZE[0], (y + height / 2) / SIZE[1]
        values = [*centre, width / SIZE[0], height / SIZE[1]]
        lines.append(" ".join([str(CLASSES.index(name)), *(f"{value:.6f}" for value in values)]))
    return "\n".join(lines) + "\n"


def xml(path: Path, image: str, number: int, encoding: str | None = "utf-8", **changes: Any) -> None:
    """Write a VOC annotation file; ``called`` renames classes, ``size`` is what it states, ``declared`` an encoding."""
    called, size = changes.get("called", {}), changes.get("size", SIZE)
    objects = "".join(
        f"<object><name>{called.get(name, name)}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + width}</xmax><ymax>{y + height}</ymax></bndbox></object>"
        for name, x, y, width, height in boxes_of(number)
    )
    head = f'<?xml version="1.0" encoding="{changes["declared"]}"?>\n' if "declared" in changes else ""
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"{head}<annotation><filename>{image}</filename>{sides}{objects}</annotation>\n"
    path.write_bytes(text.encode(encoding or "utf-8"))


def voc(root: Path, count: int, *, folders: tuple[str, str] = ("Annotations", "JPEGImages"), start: int = 0) -> None:
    """Write a VOC folder."""
    for number in range(start, start + count):
        draw(root / folders[1] / f"{number:03d}.png", number)
        xml(root / folders[0] / f"{number:03d}.xml", f"{number:03d}.png", number)


def objects_on_their_blocks(root: Path, ann_file: str, images: str) -> tuple[int, int]:
    """Return how many objects a COCO file has, and on how many of them lies the colour of their class.

    The whole box has the colour, and the pixels around it have not.
    """
    content = json.loads((root / ann_file).read_text())
    called = {row["id"]: row["name"] for row in content["categories"]}
    files = {row["id"]: root / images / row["file_name"] for row in content["images"]}
    right = 0
    for row in content["annotations"]:
        pixels = cv2.imread(str(files[row["image_id"]])).astype(int)
        x, y, width, height = (round(side) for side in row["bbox"])
        block = np.abs(pixels - COLOURS[called[row["category_id"]]]).max(2) < 60
        inside = block[y : y + height, x : x + width]
        around = block[max(0, y - 2) : y + height + 2, max(0, x - 2) : x + width + 2].sum() - inside.sum()
        right += bool(inside.all() and around == 0)
    return len(content["annotations"]), right
