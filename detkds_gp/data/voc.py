"""Turns a Pascal VOC folder of any layout into COCO splits that load_split reads."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from detkds_gp.data.images import decode
from detkds_gp.data.voc_layout import find_annotations, find_images, image_of, voc_splits
from detkds_gp.errors import DataError
from detkds_gp.whole import holds_files, whole_folder

CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocReport:
    """What a conversion kept, mended and left out.

    Attributes:
        classes: names, sorted; the labels of all three files.
        images: written images of each split.
        boxes: written boxes of each split.
        origin: what decided the splits: ``lists``, ``folders`` or ``random``.
        difficult: boxes marked ``ignore`` because VOC calls them difficult.
        clipped: boxes that reached out of the image, cut at its edge.
        swapped: boxes whose corners were exchanged, mended.
        dropped: objects without a name or four numbers, of no width or height, or wholly outside.
        wrong_sizes: images whose XML states another size than they have.
        unlisted: annotation files that no list names; left out.
        broken: annotation files that are no readable VOC XML; left out.
        missing: annotation files whose image is missing or cannot be decoded; left out.
    """

    classes: tuple[str, ...]
    images: dict[str, int]
    boxes: dict[str, int]
    origin: str
    difficult: int
    clipped: int
    swapped: int
    dropped: int
    wrong_sizes: int
    unlisted: int
    broken: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in two or three lines, naming the files that were left out."""
        splits = ", ".join(f"{n} {split} images ({self.boxes[split]} boxes)" for split, n in self.images.items())
        left_out = [*self.broken, *self.missing]
        mended = f"{self.clipped} clipped, {self.swapped} with swapped corners mended"
        return "\n".join(
            [
                f"classes {', '.join(self.classes)}; {splits}; split by {self.origin}",
                f"boxes: {self.dropped} dropped, {mended}, {self.difficult} difficult",
                *([f"left out, broken or without image: {', '.join(left_out)}"] if left_out else []),
            ]
        )


@dataclass
class _Page:
    """One image with its objects as they will be written: class name, xywh, difficult."""

    image: Path
    width: int
    height: int
    objects: list[tuple[str, list[float], bool]] = field(default_factory=list)


def convert_voc(src: str | Path, out_dir: str | Path, seed: int = 0) -> VocReport:
    """Write a Pascal VOC folder as train.json, selection.json, test.json and images/.

    Annotations are all ``*.xml`` below ``src`` with the root element ``annotation``; the image of
    each is the one of the same stem, else of its ``filename``, the nearest in the tree. For the
    splits see ``voc_layout.voc_splits``.

    VOC counts pixels from 1 and includes the last one: a box from xmin to xmax covers xmin - 1 to
    xmax in COCO's continuous coordinates, so x = xmin - 1 and width = xmax - xmin + 1. Where
    xmin = xmax the annotator clicked once: the box is dropped. Difficult objects stay with
    ``"ignore": 1`` and ``"iscrowd": 0``, as mmdet's own converter writes them: training does not
    see them, COCO evaluation counts them. Sizes are read from the images. Images are copied; those
    of the same name get the names of their folders in front.

    Args:
        src: the VOC folder.
        out_dir: new or empty.
        seed: of the random splits.

    Raises:
        DataError: no annotations or too few images to split, two annotation files of one image, an
            image that is listed for two splits, or ``out_dir`` in use.
    """
    src, out_dir = Path(src), Path(out_dir)
    if holds_files(out_dir):
        raise DataError(f"{out_dir}: holds files already; choose another folder or delete it")
    tally: Counter[str] = Counter()
    pages, broken, missing = _read_pages(src, tally)
    if not any(page.objects for page in pages.values()):
        raise DataError(
            f"{src}: got no object in {len(pages)} images ({len(broken)} broken XML files, "
            f"{len(missing)} without a readable image), wanted Pascal VOC *.xml; check the folder"
        )
    origin, splits = voc_splits(src, list(pages), seed)
    chosen = {split: [pages[xml] for xml in xmls] for split, xmls in splits.items()}
    try:
        with whole_folder(out_dir) as folder:
            classes, boxes = _write(folder, src, chosen)
    except OSError as error:
        reason = f"cannot be written ({error.strerror}); choose another folder"
        raise DataError(f"{out_dir}: {reason}") from None
    return VocReport(
        classes=classes,
        images={split: len(own) for split, own in chosen.items()},
        boxes=boxes,
        origin=origin,
        difficult=tally["difficult"],
        clipped=tally["clipped"],
        swapped=tally["swapped"],
        dropped=tally["dropped"],
        wrong_sizes=tally["wrong_sizes"],
        unlisted=len(pages) - sum(map(len, chosen.values())),
        broken=tuple(broken),
        missing=tuple(missing),
    )


def _read_pages(src: Path, tally: Counter[str]) -> tuple[dict[Path, _Page], list[str], list[str]]:
    """Return the pages by annotation file, and the names of broken and of imageless files."""
    images = find_images(src)
    pages: dict[Path, _Page] = {}
    taken: dict[Path, Path] = {}
    broken, missing = [], []
    for xml in find_annotations(src):
        name = xml.relative_to(src).as_posix()
        root = _parsed(xml)
        if root is None:
            broken.append(name)
            continue
        image = image_of(xml, root.findtext("filename", "").strip(), images)
        pixels = None if image is None else decode(image)
        if image is None or pixels is None:
            missing.append(name)
            continue
        if image in taken:
            raise DataError(
                f"{xml} and {taken[image]} both annotate {image}, wanted one file an image; remove one of them"
            )
        taken[image] = xml
        pages[xml] = _page(root, image, pixels, tally)
    return pages, broken, missing


def _parsed(xml: Path) -> ElementTree.Element | None:
    try:
        root = ElementTree.parse(xml).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError):  # LookupError: the encoding
        return None
    return root if root.tag == "annotation" else None


def _page(root: ElementTree.Element, image: Path, pixels: np.ndarray, tally: Counter[str]) -> _Page:
    height, width = pixels.shape[:2]
    stated = root.findtext("size/width", "").strip(), root.findtext("size/height", "").strip()
    tally["wrong_sizes"] += stated != (str(width), str(height))
    page = _Page(image, width, height)
    for node in root.findall("object"):
        name, bbox = node.findtext("name", "").strip(), _bbox(node, width, height, tally)
        if not name or bbox is None:
            tally["dropped"] += 1
            continue
        difficult = node.findtext("difficult", "0").strip() == "1"
        tally["difficult"] += difficult
        page.objects.append((name, bbox, difficult))
    return page


def _bbox(node: ElementTree.Element, width: int, height: int, tally: Counter[str]) -> list[float] | None:
    """Return x, y, width, height within the image; None where there is no such box."""
    try:
        corners = [float(node.findtext(f"bndbox/{key}", "")) for key in CORNERS]
    except ValueError:
        return None
    low, high = np.minimum(corners[:2], corners[2:]), np.maximum(corners[:2], corners[2:])
    if not np.isfinite(corners).all() or (low == high).any():
        return None
    start, end = np.clip(low - 1, 0, [width, height]), np.clip(high, 0, [width, height])
    if (start >= end).any():
        return None
    tally["swapped"] += (low != corners[:2]).any()
    tally["clipped"] += bool((start != low - 1).any() or (end != high).any())
    return [*start.tolist(), *(end - start).tolist()]


def _write(folder: Path, src: Path, splits: dict[str, list[_Page]]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Write images and json files; return the classes and the boxes of each split."""
    pages = [page for split in splits.values() for page in split]
    classes = tuple(sorted({name for page in pages for name, *_ in page.objects}))
    names = _copy_images([page.image for page in pages], src, folder / "images")
    for split, own in splits.items():
        (folder / f"{split}.json").write_text(json.dumps(_coco(own, names, classes)))
    return classes, {split: sum(len(page.objects) for page in own) for split, own in splits.items()}


def _copy_images(images: list[Path], src: Path, target: Path) -> dict[Path, str]:
    """Copy the images under their own names, or with their folders in front where names collide."""
    target.mkdir()
    shared = Counter(image.name.casefold() for image in images)
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for image in sorted(images, key=lambda path: (shared[path.name.casefold()] > 1, path)):
        name = image.name
        if shared[name.casefold()] > 1:
            name = "_".join(image.relative_to(src).parts)
        while name.casefold() in taken:
            name = f"_{name}"
        taken.add(name.casefold())
        names[image] = name
        (target / name).write_bytes(image.read_bytes())
    return names


def _coco(pages: list[_Page], names: dict[Path, str], classes: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, page in enumerate(pages):
        sides = {"width": page.width, "height": page.height}
        images.append({"id": number, "file_name": names[page.image], **sides})
        for name, bbox, difficult in page.objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": classes.index(name),
                    "bbox": bbox,
                    "area": bbox[2] * bbox[3],
                    "iscrowd": 0,
                    "ignore": int(difficult),
                }
            )
    categories: list[dict[str, Any]] = [{"id": i, "name": name} for i, name in enumerate(classes)]
    return {"images": images, "annotations": annotations, "categories": categories}
