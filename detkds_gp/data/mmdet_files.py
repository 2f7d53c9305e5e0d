"""A split as an annotation file that mmdet reads as we do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detkds_gp.data.coco import CocoSplit
from detkds_gp.data.segmentations import without_slivers
from detkds_gp.whole import whole_file

NEEDED = ("id", "area", "iscrowd")
"""What mmdet reads of every annotation beside what COCO files always have."""


def mmdet_annotations(split: CocoSplit, folder: Path) -> Path:
    """Return an annotation file of exactly a split's images, whose categories are its classes in their order.

    mmdet takes the order of its labels from the file, whatever classes it is told. The split's own file is returned
    where it fits as it is.

    Args:
        split: what is to be read.
        folder: where a file is written if the split's own does not do; made if missing.
    """
    raw = json.loads(split.ann_file.read_bytes())
    images = {record.id for record in split.images}
    if _fits(raw, split, images):
        return split.ann_file.resolve()
    content = json.dumps(_rewritten(raw, split, images))
    path = folder / f"{split.ann_file.stem}-{hashlib.sha256(content.encode()).hexdigest()[:12]}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            unfinished.write_text(content)
    return path.resolve()


def _fits(raw: Mapping[str, Any], split: CocoSplit, images: set[int]) -> bool:
    names = tuple(str(row["name"]) for row in raw["categories"])
    whole = len(images) == len(raw["images"])
    return whole and names == split.classes and all(all(key in row for key in NEEDED) for row in raw["annotations"])


def _rewritten(raw: Mapping[str, Any], split: CocoSplit, images: set[int]) -> dict[str, Any]:
    by_name = {str(row["name"]): row for row in raw["categories"]}
    categories = [by_name[name] for name in split.classes]
    kept = {row["id"] for row in categories}
    rows = [row for row in raw["annotations"] if row["image_id"] in images and row["category_id"] in kept]
    return {
        "info": {},
        "images": [row for row in raw["images"] if row["id"] in images],
        "annotations": [_annotation(row, number) for number, row in enumerate(rows, 1)],
        "categories": categories,
    }


def _annotation(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Fill in what mmdet reads; ids are numbered anew, since they must all differ."""
    width, height = row["bbox"][2:]
    filled = {"area": width * height, "iscrowd": 0, **row, "id": number}
    if "segmentation" in row:
        filled["segmentation"] = without_slivers(row["segmentation"])
        if filled["segmentation"] is None:
            del filled["segmentation"]
    return filled
