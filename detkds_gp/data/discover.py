"""Finds the splits of a data set in a folder of COCO annotations as people lay them out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from detkds_gp.data.coco import SplitSource, read_split
from detkds_gp.data.part import WHOLE, Part
from detkds_gp.errors import DataError

WORDS = {"train": ("train",), "selection": ("selection", "val", "dev"), "test": ("test",)}
"""What a split's annotation file has in its name; the first split that fits counts."""
MAX_DEPTH = 3
FEW: tuple[Part, Part, Part] = ((0.0, 0.7), (0.7, 0.85), (0.85, 1.0))
"""Shares of one file for train, selection and test."""


@dataclass(frozen=True)
class FoundSplit:
    """One split.

    Attributes:
        ann_file: relative to the data set's folder.
        images: relative to it; the folder that the file's image names start from.
        part: the share of its images.
    """

    ann_file: str
    images: str
    part: Part = WHOLE


@dataclass(frozen=True)
class FoundData:
    """A data set.

    Attributes:
        root: its folder.
        splits: train, selection and test.
        classes: names, in the training file's order.
        size: (height, width), the median of the training images, in pixels.
        images: how many train.
    """

    root: Path
    splits: dict[str, FoundSplit]
    classes: tuple[str, ...]
    size: tuple[int, int]
    images: int


def find_data(root: Path) -> FoundData:
    """Find annotation files, image folders and splits; what is missing is cut from what is there.

    Without a test file the validation file is halved; a single file is cut in three. The cuts are by lot, and always
    the same.

    Raises:
        DataError: if there is no COCO annotation file for training, or its images are not found.
    """
    if not root.is_dir():
        raise DataError(f"got {str(root)!r}, wanted a folder of COCO or VOC annotations")
    files = _annotation_files(root)
    if "train" not in files:
        raise DataError(f"{root} holds no COCO annotation file with 'train' in its name, nor one alone; name it so")
    splits = {name: _split(root, ann_file, name) for name, ann_file in files.items()}
    splits = _completed(splits)
    train = splits["train"]
    loaded = read_split(SplitSource(root / train.ann_file, root / train.images, train.part))
    heights, widths = ([getattr(record, side) for record in loaded.images] for side in ("height", "width"))
    return FoundData(root, splits, loaded.classes, (round(median(heights)), round(median(widths))), len(loaded.images))


def _annotation_files(root: Path) -> dict[str, Path]:
    """Return the annotation file of every split there is, the one nearest to the folder."""
    found = sorted(_coco_files(root), key=lambda path: (len(path.parts), path.name))
    files: dict[str, Path] = {}
    for path in found:
        name = path.relative_to(root).as_posix().lower()
        split = next((split for split, words in WORDS.items() if any(word in name for word in words)), None)
        if split is not None:
            files.setdefault(split, path)
    return {"train": found[0]} if len(found) == 1 else files


def _coco_files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*.json"):
        if len(path.relative_to(root).parts) <= MAX_DEPTH and _is_coco(path):
            yield path


def _is_coco(path: Path) -> bool:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and all(values.get(key) for key in ("images", "annotations", "categories"))


def _split(root: Path, ann_file: Path, name: str) -> FoundSplit:
    """Find the folder of a file's images: the first that holds the first of them."""
    first = json.loads(ann_file.read_bytes())["images"][0]["file_name"]
    near = [ann_file.parent, ann_file.parent / "images", root, root / "images"]
    folders = [*near, *sorted(path for path in root.glob("*") if path.is_dir()), *sorted(root.glob("*/*/"))]
    folder = next((folder for folder in folders if (folder / first).is_file()), None)
    if folder is None:
        raise DataError(f"{ann_file}: its image {first!r} is in no folder below {root}; put the images there")
    return FoundSplit(str(ann_file.relative_to(root)), str(folder.relative_to(root)))


def _completed(found: dict[str, FoundSplit]) -> dict[str, FoundSplit]:
    """Cut what is missing from what is there."""

    def cut(split: FoundSplit, part: Part) -> FoundSplit:
        return FoundSplit(split.ann_file, split.images, part)

    if len(found) == 1:
        return {name: cut(found["train"], part) for name, part in zip(WORDS, FEW, strict=True)}
    if len(found) == 2:
        other = found.get("selection") or found["test"]
        return {"train": found["train"], "selection": cut(other, (0.0, 0.5)), "test": cut(other, (0.5, 1.0))}
    return {name: found[name] for name in WORDS}
