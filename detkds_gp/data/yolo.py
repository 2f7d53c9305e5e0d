"""Turns a folder in YOLO format into COCO splits that load_split reads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detkds_gp.data.conversion import Page, check_empty, few, split_by, write_coco
from detkds_gp.data.deal import Roles, by_folders, three_splits
from detkds_gp.data.folders import files_below, images_among, splits_of
from detkds_gp.data.images import decode
from detkds_gp.data.yolo_labels import Labels
from detkds_gp.data.yolo_layout import images_by_split, label_of, read_source, yolo_files
from detkds_gp.errors import DataError


@dataclass(frozen=True)
class YoloReport:
    """What a conversion kept, mended and left out.

    Attributes:
        classes: names, in the order of their numbers.
        images: written images of each split.
        boxes: written objects of each split.
        origin: what decided the splits: the name of the file that describes the data set, ``folders`` or ``random``.
        without: images without a label file, which have no object.
        tally: of the labels, see `Labels`.
        broken: lines that are no label; left out.
        undecoded: images that OpenCV cannot decode; left out.
        notes: what is odd about the folder.
    """

    classes: tuple[str, ...]
    images: dict[str, int]
    boxes: dict[str, int]
    origin: str
    without: int
    tally: Counter[str]
    broken: tuple[str, ...]
    undecoded: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in a few lines, naming the lines and files that were left out."""
        splits = ", ".join(f"{n} {split} images ({self.boxes[split]} objects)" for split, n in self.images.items())
        lines = [
            f"classes {', '.join(self.classes)}; {splits}; {split_by(self.origin)}",
            f"objects: {self.tally['polygons']} with polygons, {self.tally['clipped']} clipped, "
            f"{self.tally['repeated']} repeated lines and {self.tally['flat']} of no area dropped; "
            f"{self.without} images without a label file have none",
        ]
        if self.tally["keypoints"]:
            lines.append(f"key points of {self.tally['keypoints']} objects left out")
        if self.broken:
            lines.append(f"{len(self.broken)} broken lines left out: {few(self.broken)}")
        if self.undecoded:
            lines.append(f"{len(self.undecoded)} images that cannot be decoded left out: {few(self.undecoded)}")
        return "\n".join([*lines, *self.notes])


def convert_yolo(src: str | Path, out_dir: str | Path, seed: int = 0) -> YoloReport:
    """Write a folder in YOLO format as train.json, selection.json, test.json and images/.

    ``data.yaml`` gives the class names (a list, or a mapping from numbers) and the images of train, val and test;
    ``classes.txt`` or ``obj.names`` give the names alone. Without splits, folders called train, val and test decide,
    else all is dealt out 60 : 20 : 20; what is missing is cut as `three_splits` says. Labels lie in ``labels`` for
    the images of ``images``, or beside them; an image without one has no object. Boxes and polygons become pixels of
    the image as OpenCV reads it, its EXIF orientation applied. Images are copied.

    Args:
        src: the folder, or its data.yaml.
        out_dir: new or empty.
        seed: of the random splits.

    Raises:
        DataError: no class names or two files of them, no images or labels, too few images to split, one that stands
            in two splits, or ``out_dir`` in use.
    """
    check_empty(Path(out_dir))
    src = Path(os.path.abspath(src))
    source = read_source(source_in(src))
    root = src if src.is_dir() else source.path.parent
    images = images_among(files_below(root))
    roles, notes = images_by_split(source, root)
    origin = source.path.name
    if source.splits:
        notes += _add_unnamed(roles, images, root, origin)
    else:
        origin = "folders"
        roles = by_folders(images, {path: (path.relative_to(root),) for path in images}) or roles
    every = sorted({path for own in roles.values() for path in own}) or images
    labels = Labels(source.classes, source.keypoints)
    pages, undecoded, without = _pages(every, root, labels)
    if not any(page.objects for page in pages.values()):
        faults = f"; broken: {few(labels.broken)}" if labels.broken else ""
        raise DataError(
            f"{root}: got no object in {len(every)} images ({without} without a label file), wanted labels/*.txt for "
            f"images/*; check the folder{faults}"
        )
    roles = {split: [path for path in own if path in pages] for split, own in roles.items()}
    origin, splits = three_splits(roles, list(pages), origin, seed)
    chosen = {split: [pages[path] for path in own] for split, own in splits.items()}
    report = YoloReport(
        source.classes,
        {split: len(own) for split, own in chosen.items()},
        {split: sum(len(page.objects) for page in own) for split, own in chosen.items()},
        origin,
        without,
        labels.tally,
        tuple(labels.broken),
        tuple(undecoded),
        (*source.notes, *notes),
    )
    write_coco(Path(out_dir), root, chosen, source.classes, str(report).splitlines())
    return report


def _add_unnamed(roles: Roles, images: Sequence[Path], root: Path, source: str) -> list[str]:
    """Give the images that the source does not name to a split without any that their folders speak of; say so."""
    unnamed = sorted(set(images) - {path for own in roles.values() for path in own})
    named = {path: splits_of(path.relative_to(root).parent) for path in unnamed}
    notes = []
    for split in [split for split, own in roles.items() if not own]:
        roles[split] = [path for path in unnamed if named[path] == {split}]
        if roles[split]:
            notes.append(f"{source} has no {split}: taken are {len(roles[split])} images of folders called so")
    rest = set(unnamed) - {path for own in roles.values() for path in own}
    return notes + ([f"left out: {len(rest)} images that {source} names for no split"] if rest else [])


def source_in(src: Path) -> Path:
    """Return the file that describes a YOLO data set: ``src`` itself, or the one below it.

    Raises:
        DataError: there is none, or more than one.
    """
    if src.is_file():
        return src
    found = yolo_files(files_below(src)) if src.is_dir() else []
    if len(found) != 1:
        got = f"{' and '.join(map(str, found[:4]))} both name classes" if found else "no file names its classes"
        raise DataError(f"{src}: {got}, wanted one data.yaml (or classes.txt); give that file in place of the folder")
    return found[0]


def _pages(images: Sequence[Path], root: Path, labels: Labels) -> tuple[dict[Path, Page], list[str], int]:
    """Return the pages by image, the names of images that cannot be decoded, and how many have no label file."""
    pages: dict[Path, Page] = {}
    undecoded: list[str] = []
    without = 0
    for image in images:
        pixels = decode(image)
        if pixels is None:
            undecoded.append(_name(image, root))
            continue
        page = pages[image] = Page(image, pixels.shape[1], pixels.shape[0])
        label = label_of(image)
        if label is None:
            without += 1
        else:
            page.objects += labels.read(label, _name(label, root), (page.width, page.height))
    return pages, undecoded, without


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
