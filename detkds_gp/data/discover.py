"""Finds the splits of a data set in a folder of COCO annotations as people lay them out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from detkds_gp.data.coco import SplitSource
from detkds_gp.data.coco_layout import (
    CocoFile,
    ImageTree,
    coco_files,
    files_by_split,
    image_folder,
    images_flag,
    json_flag,
    looked_through,
)
from detkds_gp.data.folders import files_below
from detkds_gp.data.split import WHOLE, Part
from detkds_gp.errors import DataError

NAMES = {"train": "train", "val": "selection", "test": "test"}
"""What a split is called in a config, by what it is called in data sets."""
FEW: tuple[Part, Part, Part] = ((0.0, 0.7), (0.7, 0.85), (0.85, 1.0))
"""Shares of one file for train, selection and test."""
HALVES: tuple[Part, Part] = ((0.0, 0.5), (0.5, 1.0))


@dataclass(frozen=True)
class Choice:
    """What the user says where a folder can be read in two ways.

    Paths are looked for in the data set's folder, then from the working directory.

    Attributes:
        layout: ``coco``, ``voc`` or ``yolo``.
        json: annotation files by split (train, val, test).
        images: image folders by split; the one of ``""`` counts for all.
        encoding: of XML files that do not declare theirs.
    """

    layout: str | None = None
    json: Mapping[str, Path] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    encoding: str | None = None


OPEN = Choice()
"""Nothing is said: what can be read in two ways is refused."""


@dataclass(frozen=True)
class FoundSplit:
    """One split.

    Attributes:
        ann_file: relative to the data set's folder, or absolute where it lies elsewhere.
        images: as ``ann_file``; the folder that the file's image names start from.
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
        notes: what was taken, cut, converted and left out, a line each.
        name: what people call it: the name of the folder that they gave.
    """

    root: Path
    splits: dict[str, FoundSplit]
    notes: tuple[str, ...] = ()
    name: str = ""

    @property
    def sources(self) -> dict[str, SplitSource]:
        """What `read_splits` takes."""
        return {
            name: SplitSource(self.root / split.ann_file, self.root / split.images, split.part)
            for name, split in self.splits.items()
        }


def find_data(
    root: Path,
    choice: Choice = OPEN,
    files: Sequence[Path] | None = None,
    coco: Sequence[CocoFile] | None = None,
) -> FoundData:
    """Find annotation files, image folders and splits; what is missing is cut from what is there. No image is opened.

    Without a test file the validation file is halved; a single file is cut in three. The cuts are by lot, and always
    the same.

    Args:
        root: the data set's folder.
        choice: what the user says of it.
        files: all files below it, where they are known already.
        coco: the COCO files among them, likewise.

    Raises:
        DataError: if there is no COCO annotation file for training, its images are not found, or two readings of the
            folder remain that ``choice`` does not decide.
    """
    if not root.is_dir():
        raise DataError(f"got {str(root)!r}, wanted a folder of COCO, VOC or YOLO annotations")
    root = Path(os.path.abspath(root))
    files = files_below(root) if files is None else files
    given = {split: _given_file(root, path, split) for split, path in choice.json.items()}
    chosen, unused = files_by_split(coco_files(files) if coco is None else coco, root, given)
    tree = ImageTree(root, files)
    found = {split: _split(tree, file, split if len(chosen) > 1 else None, choice) for split, file in chosen.items()}
    splits, cuts = _completed(found)
    taken = [f"{NAMES[name]}: {split.ann_file}, its images in {split.images}" for name, split in found.items()]
    return FoundData(root, splits, (*taken, *cuts, *unused), root.resolve().name)


def _given_file(root: Path, path: Path, split: str) -> CocoFile:
    """Look through a file that the user named."""
    place = within(root, path)
    file = looked_through(place) if place.is_file() else None
    if file is None:
        what = "no COCO annotation file" if place.is_file() else "no such file"
        raise DataError(f"{json_flag(split)} got {str(path)!r}, {what}; give one in {root} or from here")
    return file


def within(root: Path, path: Path) -> Path:
    """Return where a path is that a user gave: in the data set's folder if it is there, else from here.

    What lies in the folder is returned as it is known there, however the user came to it.
    """
    place = root / path if (root / path).exists() else Path(os.path.abspath(path))
    real, real_root = Path(os.path.realpath(place)), Path(os.path.realpath(root))
    return root / real.relative_to(real_root) if real.is_relative_to(real_root) else place


def given_folder(root: Path, path: Path, flag: str) -> Path:
    """Return where a folder of images is that the user gave by a flag.

    Raises:
        DataError: it is nowhere.
    """
    place = within(root, path)
    if not place.is_dir():
        raise DataError(f"{flag} got {str(path)!r}, no such folder; give one in {root} or from here")
    return place


def _split(tree: ImageTree, file: CocoFile, split: str | None, choice: Choice) -> FoundSplit:
    named = next((name for name in (split or "train", "") if name in choice.images), None)
    given = None if named is None else given_folder(tree.root, choice.images[named], images_flag(named))
    folder = image_folder(tree, file.path, file.names, split, given)
    return FoundSplit(_placed(file.path, tree.root), _placed(folder, tree.root))


def _placed(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path.resolve())


def _completed(found: dict[str, FoundSplit]) -> tuple[dict[str, FoundSplit], list[str]]:
    """Cut what is missing from what is there, and say so."""
    train = found["train"]
    others = [found[name] for name in ("val", "test") if name in found]
    if not others:
        parts = {name: replace(train, part=part) for name, part in zip(NAMES.values(), FEW, strict=True)}
        return parts, [f"{train.ann_file} is cut into train, selection and test (70 : 15 : 15 percent of its images)"]
    if len(others) == 1:
        halves = {name: replace(others[0], part=part) for name, part in zip(("selection", "test"), HALVES, strict=True)}
        return {"train": train, **halves}, [f"{others[0].ann_file} is halved into selection and test"]
    return {NAMES[name]: split for name, split in found.items()}, []
