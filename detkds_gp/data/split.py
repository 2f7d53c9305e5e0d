"""One split of a data set in the normal form that everything else gets: its part of the images, and it as a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from detkds_gp.atomic import atomic_file
from detkds_gp.data.findings import Finding
from detkds_gp.data.header_reader import ImageFile

Part = tuple[float, float]
"""From which to which share of a split's images, in [0, 1]; parts that do not overlap share no image."""

WHOLE: Part = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One object as COCO evaluation sees it.

    Attributes:
        label: index into the split's classes.
        bbox: x, y, width, height in pixels of the original image; width and height are above 0.
        area: the file's area where it fits the box, else width * height.
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

    @property
    def learned(self) -> bool:
        """Whether training sees it: what mmdet's ``CocoDataset.parse_data_info`` keeps of what lies in an image."""
        return not (self.crowd or self.ignore) and self.bbox[2] >= 1 and self.bbox[3] >= 1


@dataclass(frozen=True, eq=False, slots=True)
class ImageRecord:
    """One image and the objects to learn on it.

    Attributes:
        id: the file's image id.
        path: where the image lies.
        width: pixels of the image as it is read, its EXIF orientation applied.
        height: pixels, likewise.
        boxes: (R, 4) float32 xyxy in pixels of the original image; R may be 0.
        labels: (R,) int64, indices into the split's classes.
        masks: the segmentations of the R boxes; None where an object has none.
        annotations: every object of the split's classes that has an area in the image, crowds and thin ones too.
    """

    id: int
    path: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    masks: tuple[Any, ...]
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True)
class Account:
    """What became of the annotations of a file; together they are all of them.

    Attributes:
        learned: are trained on and scored.
        crowd: are scored as crowds and not learned.
        ignored: are scored, but the file says ``ignore``: not learned.
        thin: are scored, but thinner than 1 pixel: not learned, as in mmdet.
        no_area: have no width or no height: left out.
        outside: lie wholly outside their image: left out.
        other_class: are of a category that is no class: left out.
        other_part: are on images outside the part that the split takes.
    """

    learned: int = 0
    crowd: int = 0
    ignored: int = 0
    thin: int = 0
    no_area: int = 0
    outside: int = 0
    other_class: int = 0
    other_part: int = 0

    @property
    def total(self) -> int:
        """The annotations of the file."""
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def not_learned(self) -> dict[str, int]:
        """How many annotations of the split's images are not learned, by reason; without zeros."""
        names = [field.name for field in fields(self) if field.name not in ("learned", "other_part")]
        return {name: getattr(self, name) for name in names if getattr(self, name)}


@dataclass(frozen=True, eq=False)
class CocoSplit:
    """The images and objects of one annotation file.

    Attributes:
        ann_file: the annotation file as it was given.
        classes: names; a label is an index into them.
        images: sorted by id; images without objects are kept.
        image_dir: the folder that the file's image names start from.
        account: what became of the file's annotations.
        findings: what was mended, and what looks wrong.
        categories: the names that the file knows, those that are no class too.
        files: the image files in the order of the images.
    """

    ann_file: Path
    classes: tuple[str, ...]
    images: tuple[ImageRecord, ...]
    image_dir: Path
    account: Account = Account()
    findings: tuple[Finding, ...] = ()
    categories: tuple[str, ...] = ()
    files: tuple[ImageFile, ...] = ()


def part_of(images: Sequence[dict[str, Any]], part: Part) -> list[dict[str, Any]]:
    """Choose images by the hash of their names, as if by lot, but without a seed.

    The choice depends neither on the order of the images nor on their ids; a wider part holds a narrower one,
    and two that only touch share nothing. Entries of one image file stay together: shares are of files.

    Args:
        images: entries of an annotation file, with ``file_name`` and ``id``.
        part: from which to which share of them; (0, 1) takes all.

    Returns:
        the images of that part, 1 at least, in their order.

    Raises:
        ValueError: the part is out of range or empty.
    """
    low, high = part
    if not 0 <= low < high <= 1:
        raise ValueError(f"got the part {part} of the images, wanted two shares, 0 <= low < high <= 1")
    if part == WHOLE:
        return list(images)
    named = [(str(image["file_name"]).replace("\\", "/"), image) for image in images]
    lots = sorted((hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest(), name) for name in dict(named))
    first, end = round(low * len(lots)), round(high * len(lots))
    chosen = {name for _, name in lots[first : max(end, first + 1)]}
    return [image for name, image in named if name in chosen]


def write_normal(split: CocoSplit, folder: Path) -> Path:
    """Write a split under the hash of what it holds, if that is not done yet, and return the path.

    It has exactly the split's images and objects and nothing that two readers could understand differently: ids of
    annotations and categories from 1, categories in the order of the classes, numbers as numbers, ``iscrowd`` and
    ``ignore`` as 0 or 1, an area above 0, and the size of each image as it is read. Read again, it is the same split.
    """
    content = json.dumps(_normal_form(split), separators=(",", ":")).encode()
    path = folder / f"{split.ann_file.stem}-{hashlib.sha256(content).hexdigest()[:16]}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as unfinished:
            unfinished.write_bytes(content)
    return path.resolve()


def _normal_form(split: CocoSplit) -> dict[str, Any]:
    folder, numbers = f"{split.image_dir.as_posix()}/", count(1)
    return {
        "info": {},
        "images": [
            {
                "id": record.id,
                "file_name": record.path.as_posix().removeprefix(folder),
                "width": record.width,
                "height": record.height,
            }
            for record in split.images
        ],
        "annotations": [
            {
                "id": next(numbers),
                "image_id": record.id,
                "category_id": annotation.label + 1,
                "bbox": list(annotation.bbox),
                "area": annotation.area,
                "iscrowd": int(annotation.crowd),
                **({"ignore": 1} if annotation.ignore else {}),
                **({} if annotation.segmentation is None else {"segmentation": annotation.segmentation}),
            }
            for record in split.images
            for annotation in record.annotations
        ],
        "categories": [{"id": label, "name": name} for label, name in enumerate(split.classes, 1)],
    }
