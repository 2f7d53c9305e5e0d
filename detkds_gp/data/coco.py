"""A reader of COCO annotation files: the one that reads what users give, into the normal form that everything gets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detkds_gp.data.annotation_file import collection_paused, labels_by_category, read_annotation_file
from detkds_gp.data.findings import Tally
from detkds_gp.data.header_reader import HeaderReader
from detkds_gp.data.image_files import NamedImage, image_files
from detkds_gp.data.objects import BoxCheck
from detkds_gp.data.split import WHOLE, Account, CocoSplit, ImageRecord, Part, part_of
from detkds_gp.errors import DataError

HASHED_BYTES = 1 << 30  # above this the images of a split enter data_hash by name and size alone


@dataclass(frozen=True)
class SplitSource:
    """One split as it is given.

    Attributes:
        ann_file: COCO json with images, annotations and categories.
        image_dir: the folder that ``file_name`` starts from.
        part: from which to which share of the images, drawn by ``part_of``; the others are not looked at.
    """

    ann_file: Path
    image_dir: Path
    part: Part = WHOLE


def load_split(
    ann_file: str | Path,
    image_dir: str | Path,
    classes: Sequence[str] | None = None,
    *,
    part: Part = WHOLE,
    headers: HeaderReader | None = None,
) -> CocoSplit:
    """Read a COCO annotation file, check it against the headers of its images, and refuse what contradicts them.

    Training sees what mmdet's ``CocoDataset`` would show it: no crowd, no ``ignore``, no box thinner than 1 pixel or
    wholly outside the image. Boxes that reach over the edge stay as they are. What is mended and what looks wrong
    stands in the split's ``findings`` and ``account``.

    Args:
        ann_file: COCO json.
        image_dir: the folder that ``file_name`` starts from.
        classes: the class names in the order of the labels, all of them or some; None takes all that have objects or
            are no mere supercategory, in the file's order.
        part: from which to which share of the images.
        headers: reads the headers; None reads them anew.

    Raises:
        DataError: the file is missing, broken, empty, contradictory, or images are missing or unreadable.
        ValueError: the part is out of range or empty.
    """
    return checked(read_split(SplitSource(Path(ann_file), Path(image_dir), part), classes, (), headers))


def read_splits(
    sources: Mapping[str, SplitSource], classes: Sequence[str] | None, headers: HeaderReader | None = None
) -> dict[str, CocoSplit]:
    """Read the splits of a data set with one order of classes, that of the first; contradictions are not refused yet.

    Raises:
        DataError: a file is missing, broken or empty, or its categories are others than the first's.
    """
    splits: dict[str, CocoSplit] = {}
    for name, source in sources.items():
        first = next(iter(splits.values()), None)
        known = first.categories if first else ()
        splits[name] = read_split(source, first.classes if first else classes, known, headers)
    return splits


@collection_paused()
def read_split(
    source: SplitSource,
    classes: Sequence[str] | None = None,
    known: Collection[str] = (),
    headers: HeaderReader | None = None,
) -> CocoSplit:
    """Read a split as `load_split` does; what that would refuse stands in its findings, so that all of it can be told.

    A file that has objects of ``known`` only, the categories of the data set's other files, may lack some classes.

    Raises:
        DataError: the file is missing, broken or empty, or images are missing.
        ValueError: the part is out of range or empty.
    """
    tally = Tally()
    try:
        raw = read_annotation_file(source.ann_file, tally)
        names, label_of = labels_by_category(raw, classes, known, tally)
        images = sorted(part_of(raw["images"], source.part), key=lambda image: image["id"])
        files = image_files(images, source.image_dir, headers or HeaderReader(), tally)
        rows = _rows_by_image(raw, images, label_of, tally)
        found, categories = sum(map(len, rows.values())), tuple(str(row["name"]) for row in raw["categories"])
        raw.clear()  # from here on entries are freed as they are read: large files have millions
        check = BoxCheck(tally)
        records = tuple(_record(image, rows.pop(image.id), check) for image in files)
        check.conclude()
    except DataError as error:
        raise DataError(f"{source.ann_file}: {error}") from None
    if not tally.fates["learned"]:
        tally.add("nothing_to_learn", "", found)
    return CocoSplit(
        source.ann_file,
        names,
        records,
        source.image_dir,
        Account(**tally.fates),
        tally.findings(len(images), found),
        categories,
        tuple(image.file for image in files),
    )


def checked(split: CocoSplit) -> CocoSplit:
    """Return the split, or refuse it.

    Raises:
        DataError: it has findings that are refused.
    """
    if refused := "; ".join(str(finding) for finding in split.findings if finding.level == "refused"):
        raise DataError(f"{split.ann_file}: {refused}")
    return split


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
        objects = [astuple(a) for a in record.annotations]
        head = [record.id, Path(name).as_posix(), size, record.width, record.height, objects]
        digest.update(json.dumps(head, sort_keys=True).encode())
        if by_content:
            digest.update(record.path.read_bytes())
    return digest.hexdigest()


def _rows_by_image(
    raw: dict[str, Any],
    images: Sequence[dict[str, Any]],
    label_of: Mapping[int, int | None],
    tally: Tally,
) -> dict[int, list[tuple[int, dict[str, Any]]]]:
    """Group label and entry of the annotations of the images and classes by image id, in the file's order."""
    names = {row["id"]: row["name"] for row in raw["categories"]}
    elsewhere = {image["id"] for image in raw["images"]}
    rows: dict[int, list[tuple[int, dict[str, Any]]]] = {image["id"]: [] for image in images}
    for row in raw["annotations"]:
        image, category = row["image_id"], row["category_id"]
        if category not in label_of or image not in elsewhere:
            where = f"annotation {row.get('id', '?')!r}"
            if category in label_of:
                raise DataError(f"{where} points to the unknown image {image!r}; remove it or add the image")
            raise DataError(
                f"{where} points to the unknown category {category!r}, wanted one of "
                f"{', '.join(map(str, label_of))}; remove it or add the category"
            )
        label = label_of[category]
        if image not in rows:
            tally.fates["other_part"] += 1
        elif label is None:
            tally.fates["other_class"] += 1
            tally.add("other_class", f"{names[category]!r}")
        else:
            rows[image].append((label, row))
    return rows


def _record(image: NamedImage, rows: Sequence[tuple[int, dict[str, Any]]], check: BoxCheck) -> ImageRecord:
    annotations = check.read(rows, image)
    learned = [a for a in annotations if a.learned]
    boxes = np.array([a.bbox for a in learned], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return ImageRecord(
        id=image.id,
        path=Path(image.path),
        width=image.width,
        height=image.height,
        boxes=boxes.astype(np.float32),
        labels=np.array([a.label for a in learned], dtype=np.int64),
        masks=tuple(a.segmentation for a in learned),
        annotations=annotations,
    )
