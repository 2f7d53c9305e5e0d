"""A normal annotation file, written of a split as it was read: what mmdet, pycocotools and other readers get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from detkds_gp.atomic import atomic_file
from detkds_gp.data.split import Annotation, CocoSplit, ImageRecord


def write_normal(split: CocoSplit, folder: Path) -> Path:
    """Write a split as an annotation file, if that is not done yet, and return its path.

    It has exactly the split's images and objects and nothing that two readers could understand differently: ids of
    annotations and categories from 1, categories in the order of the classes, numbers as numbers, ``iscrowd`` and
    ``ignore`` as 0 or 1, an area above 0, and the size of each image as it is read. Read again, it is the same split.

    Args:
        split: as it was read.
        folder: where it is kept, under the hash of what it holds; made if missing.
    """
    content = json.dumps(normal_form(split), separators=(",", ":")).encode()
    path = folder / f"{split.ann_file.stem}-{hashlib.sha256(content).hexdigest()[:16]}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as unfinished:
            unfinished.write_bytes(content)
    return path.resolve()


def normal_form(split: CocoSplit) -> dict[str, Any]:
    """Return the content of the file."""
    numbers = count(1)
    return {
        "info": {},
        "images": [_image(record, split) for record in split.images],
        "annotations": [row for record in split.images for row in _annotations(record, numbers)],
        "categories": [{"id": label, "name": name} for label, name in enumerate(split.classes, 1)],
    }


def _image(record: ImageRecord, split: CocoSplit) -> dict[str, Any]:
    name = record.path.as_posix().removeprefix(f"{split.image_dir.as_posix()}/")
    return {"id": record.id, "file_name": name, "width": record.width, "height": record.height}


def _annotations(record: ImageRecord, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    for annotation in record.annotations:
        yield {
            "id": next(numbers),
            "image_id": record.id,
            "category_id": annotation.label + 1,
            "bbox": list(annotation.bbox),
            "area": annotation.area,
            "iscrowd": int(annotation.crowd),
            **_optional(annotation),
        }


def _optional(annotation: Annotation) -> dict[str, Any]:
    masked = {} if annotation.segmentation is None else {"segmentation": annotation.segmentation}
    return {**({"ignore": 1} if annotation.ignore else {}), **masked}
