"""Reads one split of a COCO-format data set and says at once what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detkds_gp.data.annotation_file import labels_by_category, read_annotation_file
from detkds_gp.data.images import ImageStore, LoadedImage, load_image
from detkds_gp.data.part import WHOLE, Part, part_of
from detkds_gp.data.segmentations import without_slivers
from detkds_gp.errors import DataError

__all__ = [
    "Annotation",
    "CocoSplit",
    "ImageRecord",
    "ImageStore",
    "LoadedImage",
    "data_hash",
    "load_image",
    "load_split",
]

HASHED_BYTES = 1 << 30  # above this the images of a split enter data_hash by name and size alone


@dataclass(frozen=True)
class Annotation:
    """One object as the file states it: what COCO evaluation sees.

    Attributes:
        label: index into the split's classes.
        bbox: x, y, width, height in pixels of the original image.
        area: the file's area, or width * height where it has none.
        crowd: the file's ``iscrowd``: no object to find, nor a mistake to find it.
        ignore: the file's ``ignore``: hidden from training; pycocotools counts it, so do we.
        segmentation: polygons or RLE as in the file, without polygons of fewer than 3 points; None where it has
            none.
    """

    label: int
    bbox: tuple[float, float, float, float]
    area: float
    crowd: bool
    ignore: bool
    segmentation: Any


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image and the objects to learn on it.

    Attributes:
        id: the file's image id.
        path: where the image lies.
        width: pixels of the original image.
        height: pixels of the original image.
        boxes: (R, 4) float32 xyxy in pixels of the original image; R may be 0.
        labels: (R,) int64, indices into the split's classes.
        masks: the segmentations of the R boxes; None where an object has none.
        annotations: every object of the split's classes, crowds and degenerate ones too.
    """

    id: int
    path: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    masks: tuple[Any, ...]
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, eq=False)
class CocoSplit:
    """The images and objects of one annotation file.

    Attributes:
        ann_file: the annotation file.
        classes: names; a label is an index into them.
        images: sorted by id; images without objects are kept.
        image_dir: the folder that the file's image names start from.
        dropped: how many degenerate boxes training does not see.
    """

    ann_file: Path
    classes: tuple[str, ...]
    images: tuple[ImageRecord, ...]
    image_dir: Path
    dropped: int


def load_split(
    ann_file: str | Path, image_dir: str | Path, classes: Sequence[str] | None = None, *, part: Part = WHOLE
) -> CocoSplit:
    """Read a COCO annotation file and check it against its images.

    Training sees what mmdet's ``CocoDataset`` would show it: no crowd, no ``ignore``, no box of
    zero area, thinner than 1 pixel or wholly outside the image. Boxes that reach over the edge
    stay as they are.

    Args:
        ann_file: COCO json with images, annotations and categories.
        image_dir: the folder that ``file_name`` starts from.
        classes: the class names in the order of the labels, all of them or some; None takes all,
            in the file's order.
        part: from which to which share of the images, drawn by ``part_of``; the others are not looked at.

    Raises:
        DataError: the file is missing, broken, empty, contradictory, or images are missing.
        ValueError: the part is out of range or empty.
    """
    ann_file, image_dir = Path(ann_file), Path(image_dir)
    try:
        raw = read_annotation_file(ann_file)
        names, label_of = labels_by_category(raw["categories"], classes)
        images = sorted(part_of(raw["images"], part), key=lambda image: image["id"])
        objects = _objects_by_image(raw, images, label_of)
        records = tuple(_record(image, image_dir, objects[image["id"]]) for image in images)
        _check_files([record.path for record in records], image_dir)
        if not any(len(record.boxes) for record in records):
            found = sum(map(len, objects.values()))
            raise DataError(
                f"got {found} annotations of {', '.join(names)}, but none to learn (all crowd, "
                "ignored or degenerate), wanted 1 at least; mend the boxes"
                + (", or take a larger part" if part != WHOLE else "")
            )
    except DataError as error:
        raise DataError(f"{ann_file}: {error}") from None
    dropped = sum(_is_degenerate(a, r.width, r.height) for r in records for a in r.annotations)
    return CocoSplit(ann_file, names, records, image_dir, dropped)


def data_hash(split: CocoSplit) -> str:
    """Return the sha256 (hex) of what training and evaluation see, wherever the data lies.

    Annotations and classes always count. Images count by their bytes up to 1 GiB a split; above, by
    name and file size, so that a large set does not have to be read to be recognised.
    """
    digest = hashlib.sha256(json.dumps(split.classes).encode())
    sizes = [record.path.stat().st_size for record in split.images]
    by_content = sum(sizes) <= HASHED_BYTES
    for record, size in zip(split.images, sizes, strict=True):
        name = os.path.relpath(record.path, split.image_dir)
        objects = [list(vars(a).values()) for a in record.annotations]
        head = [record.id, Path(name).as_posix(), size, record.width, record.height, objects]
        digest.update(json.dumps(head, sort_keys=True).encode())
        if by_content:
            digest.update(record.path.read_bytes())
    return digest.hexdigest()


def _objects_by_image(
    raw: dict[str, Any], images: list[dict[str, Any]], label_of: Mapping[int, int | None]
) -> dict[int, list[Annotation]]:
    """Group the annotations of the images and classes by image id, in the file's order."""
    known = {image["id"] for image in raw["images"]}
    objects: dict[int, list[Annotation]] = {image["id"]: [] for image in images}
    for row in raw["annotations"]:
        where = f"annotation {row.get('id', '?')!r}"
        if row["image_id"] not in known:
            raise DataError(f"{where} points to the unknown image {row['image_id']!r}; remove it or add the image")
        if row["category_id"] not in label_of:
            raise DataError(
                f"{where} points to the unknown category {row['category_id']!r}, wanted one of "
                f"{', '.join(map(str, label_of))}; remove it or add the category"
            )
        label = label_of[row["category_id"]]
        if label is not None and row["image_id"] in objects:
            objects[row["image_id"]].append(_annotation(row, label, where))
    return objects


def _annotation(row: dict[str, Any], label: int, where: str) -> Annotation:
    try:
        x, y, width, height = map(float, row["bbox"])
        area = float(row.get("area", width * height))
    except (TypeError, ValueError):
        x = y = width = height = area = math.nan
    if not all(map(math.isfinite, (x, y, width, height, area))):
        raise DataError(f"{where} has the box {row['bbox']!r}, wanted x, y, width, height, finite; mend it")
    crowd, ignore = bool(row.get("iscrowd", 0)), bool(row.get("ignore", 0))
    return Annotation(label, (x, y, width, height), area, crowd, ignore, without_slivers(row.get("segmentation")))


def _is_degenerate(annotation: Annotation, image_width: int, image_height: int) -> bool:
    """Apply the filter of mmdet's ``CocoDataset.parse_data_info``."""
    x, y, width, height = annotation.bbox
    inside_width = max(0.0, min(x + width, image_width) - max(x, 0.0))
    inside_height = max(0.0, min(y + height, image_height) - max(y, 0.0))
    return inside_width * inside_height == 0 or annotation.area <= 0 or width < 1 or height < 1


def _record(image: dict[str, Any], image_dir: Path, objects: list[Annotation]) -> ImageRecord:
    try:
        width, height = int(image["width"]), int(image["height"])
        path = image_dir / image["file_name"]
    except (TypeError, ValueError):
        raise DataError(f"not COCO format: broken entry of 'images': {image!r:.80}") from None
    learned = [a for a in objects if not (a.crowd or a.ignore or _is_degenerate(a, width, height))]
    boxes = np.array([a.bbox for a in learned], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return ImageRecord(
        id=image["id"],
        path=path,
        width=width,
        height=height,
        boxes=boxes.astype(np.float32),
        labels=np.array([a.label for a in learned], dtype=np.int64),
        masks=tuple(a.segmentation for a in learned),
        annotations=tuple(objects),
    )


def _check_files(paths: list[Path], image_dir: Path) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} images are missing, the first {missing[0]}; "
            f"check the image folder (got {image_dir})"
        )
