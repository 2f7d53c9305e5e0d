"""Turns a folder in YOLO format into COCO splits that load_split reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from detkds_gp.data.conversion import Conversion, Page, check_empty, few
from detkds_gp.data.folders import by_folders, files_below, images_among, name_below, splits_of, three_splits
from detkds_gp.data.images import decode
from detkds_gp.data.yolo_labels import Labels
from detkds_gp.data.yolo_layout import images_by_split, label_of, read_source, yolo_files
from detkds_gp.errors import DataError


def convert_yolo(src: str | Path, out_dir: str | Path, seed: int = 0) -> Conversion:
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

    Returns:
        what was written; its ``counts`` are those of `Labels`, and of images ``without`` a label file; left out are
        broken lines and images that OpenCV cannot decode.

    Raises:
        DataError: no class names or two files of them, no images or labels, too few images to split, one that stands
            in two splits, or ``out_dir`` in use.
    """
    check_empty(Path(out_dir))
    src = Path(os.path.abspath(src))
    source = read_source(source_in(src))
    root = src if src.is_dir() else source.path.parent
    images = images_among(files_below(root))
    roles, odd = images_by_split(source, root)
    origin = source.path.name
    if source.splits:
        odd += _add_unnamed(roles, images, root, origin)
    else:
        origin = "folders"
        roles = by_folders({path: (path.relative_to(root),) for path in images}) or roles
    every = sorted({path for own in roles.values() for path in own}) or images
    labels = Labels(source.classes, source.keypoints)
    pages, undecoded = _pages(every, root, labels)
    if not any(page.objects for page in pages.values()):
        faults = f"; broken: {few(labels.broken)}" if labels.broken else ""
        raise DataError(
            f"{root}: got no object in {len(every)} images ({labels.counts['without']} without a label file), wanted "
            f"labels/*.txt for images/*; check the folder{faults}"
        )
    roles = {split: [path for path in own if path in pages] for split, own in roles.items()}
    origin, split_images = three_splits(roles, list(pages), origin, seed)
    splits = {split: [pages[path] for path in own] for split, own in split_images.items()}
    notes = (*_notes(labels, undecoded), *source.notes, *odd)
    left_out = (*labels.broken, *undecoded)
    report = Conversion(splits, source.classes, origin, labels.counts, left_out, notes, "objects")
    report.write(Path(out_dir), root)
    return report


def _notes(labels: Labels, undecoded: Sequence[str]) -> list[str]:
    """Return the lines on what labels hold, and on what was left out."""
    counts, broken = labels.counts, labels.broken
    notes = [
        f"objects: {counts['polygons']} with polygons, {counts['clipped']} clipped, "
        f"{counts['repeated']} repeated lines and {counts['flat']} of no area dropped; "
        f"{counts['without']} images without a label file have none"
    ]
    if counts["keypoints"]:
        notes.append(f"key points of {counts['keypoints']} objects left out")
    if broken:
        notes.append(f"{len(broken)} broken lines left out: {few(broken)}")
    if undecoded:
        notes.append(f"{len(undecoded)} images that cannot be decoded left out: {few(undecoded)}")
    return notes


def _add_unnamed(roles: dict[str, list[Path]], images: Sequence[Path], root: Path, source: str) -> list[str]:
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


def _pages(images: Sequence[Path], root: Path, labels: Labels) -> tuple[dict[Path, Page], list[str]]:
    """Return the pages by image, and the names of images that cannot be decoded."""
    pages: dict[Path, Page] = {}
    undecoded: list[str] = []
    for image in images:
        pixels = decode(image)
        if pixels is None:
            undecoded.append(name_below(image, root))
            continue
        page = pages[image] = Page(image, pixels.shape[1], pixels.shape[0])
        label = label_of(image)
        if label is None:
            labels.counts["without"] += 1
        else:
            page.objects += labels.read(label, name_below(label, root), (page.width, page.height))
    return pages, undecoded
