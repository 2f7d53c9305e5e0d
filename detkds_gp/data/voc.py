"""Turns a Pascal VOC folder of any layout into COCO splits that load_split reads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from detkds_gp.data.conversion import Object, Page, check_empty, write_coco
from detkds_gp.data.folders import files_below
from detkds_gp.data.images import decode
from detkds_gp.data.voc_layout import VocImages, voc_splits
from detkds_gp.data.voc_sizes import Scale, scale_of
from detkds_gp.data.xml_text import XmlFiles, parse_files
from detkds_gp.errors import DataError

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SHOWN = 5


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
        scaled: annotation files of images that were resized since, their boxes scaled by the ratio.
        wrong_sizes: annotation files that state another size than their image has, which their boxes fit.
        example: the first of ``scaled``, else of ``wrong_sizes``, with its sizes.
        unlisted: annotation files that no list names; left out.
        encodings: how many files are not UTF-8, by encoding.
        detected: the encoding that no file declares, told from the bytes, or empty.
        left_out: annotation files that could not be used, each with the reason.
    """

    classes: tuple[str, ...]
    images: dict[str, int]
    boxes: dict[str, int]
    origin: str
    difficult: int
    clipped: int
    swapped: int
    dropped: int
    scaled: int
    wrong_sizes: int
    example: str
    unlisted: int
    encodings: dict[str, int]
    detected: str
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in a few lines, naming the files that were left out."""
        splits = ", ".join(f"{n} {split} images ({self.boxes[split]} boxes)" for split, n in self.images.items())
        mended = f"{self.clipped} clipped, {self.swapped} with swapped corners mended"
        return "\n".join(
            [
                f"classes {', '.join(self.classes)}; {splits}; split by {self.origin}",
                f"boxes: {self.dropped} dropped, {mended}, {self.difficult} difficult",
                *self._said(),
            ]
        )

    def _said(self) -> list[str]:
        """Return the lines on what is not as it should be."""
        encodings = ", ".join(f"{count} in {name}" for name, count in self.encodings.items())
        told = f" ({self.detected} is not declared but told from their bytes: check the class names)"
        lines = {
            f"{self.scaled} images have another size than their XML states ({self.example}): boxes scaled by the "
            "ratio": self.scaled,
            f"{self.wrong_sizes} XML files state a size that is not their image's"
            f"{'' if self.scaled else f' ({self.example})'}, but their boxes fit it: read as they are": self.wrong_sizes,
            f"files that are not UTF-8: {encodings}{told if self.detected else ''}": encodings,
            f"left out, named by no list: {self.unlisted}": self.unlisted,
            f"left out: {few(self.left_out)}": self.left_out,
        }
        return [line for line, counts in lines.items() if counts]


def few(lines: Sequence[str]) -> str:
    """Return the first of many, and how many more there are."""
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def convert_voc(src: str | Path, out_dir: str | Path, seed: int = 0, images: Path | None = None) -> VocReport:
    """Write a Pascal VOC folder as train.json, selection.json, test.json and images/.

    Annotations are all ``*.xml`` below ``src`` with the root element ``annotation``; the image of
    each is the one of the same stem, else of its ``filename``, the nearest in the tree. For the
    splits see ``voc_layout.voc_splits``, for encodings ``xml_text.parse_files``, for sizes
    ``voc_sizes.scale_of``.

    VOC counts pixels from 1 and includes the last one: a box from xmin to xmax covers xmin - 1 to
    xmax in COCO's continuous coordinates, so x = xmin - 1 and width = xmax - xmin + 1. Where
    xmin = xmax the annotator clicked once: the box is dropped. Difficult objects stay with
    ``"ignore": 1`` and ``"iscrowd": 0``, as mmdet's own converter writes them: training does not
    see them, COCO evaluation counts them. Images are copied; those of the same name get the names
    of their folders in front.

    Args:
        src: the VOC folder.
        out_dir: new or empty.
        seed: of the random splits.
        images: only images in this folder of ``src`` or below it count; None: all.

    Raises:
        DataError: no annotations or too few images to split, two images of one annotation file or the other way
            round, an image that is listed for two splits, or ``out_dir`` in use.
    """
    src, out_dir = Path(os.path.abspath(src)), Path(out_dir)
    check_empty(out_dir)
    images = None if images is None else Path(os.path.abspath(images))
    files = files_below(src)
    parsed = parse_files(path for path in files if path.suffix.lower() == ".xml")
    reader = _Reader(src, VocImages(src, files, images))
    pages = reader.pages(parsed)
    if not any(page.objects for page in pages.values()):
        faults = f"; left out: {few(reader.left_out)}" if reader.left_out else ""
        raise DataError(f"{src}: got no object in {len(pages)} images, wanted Pascal VOC *.xml; check the folder{faults}")
    origin, splits = voc_splits(src, files, {xml: page.image for xml, page in pages.items()}, seed)
    chosen = {split: [pages[xml] for xml in xmls] for split, xmls in splits.items()}
    report = _report(reader, parsed, chosen, origin, len(pages))
    write_coco(out_dir, src, chosen, report.classes, str(report).splitlines())
    return report


def _report(
    reader: _Reader, parsed: XmlFiles, chosen: dict[str, list[Page]], origin: str, pages: int
) -> VocReport:
    tally = reader.tally
    return VocReport(
        classes=tuple(sorted({found.name for own in chosen.values() for page in own for found in page.objects})),
        images={split: len(own) for split, own in chosen.items()},
        boxes={split: sum(len(page.objects) for page in own) for split, own in chosen.items()},
        origin=origin,
        difficult=tally["difficult"],
        clipped=tally["clipped"],
        swapped=tally["swapped"],
        dropped=tally["dropped"],
        scaled=tally["scaled"],
        wrong_sizes=tally["kept"],
        example=reader.examples.get("scaled") or reader.examples.get("kept", ""),
        unlisted=pages - sum(map(len, chosen.values())),
        encodings=dict(parsed.encodings),
        detected=parsed.detected,
        left_out=tuple(reader.left_out),
    )


class _Reader:
    """Reads annotation files one by one, counting what it mends and naming what it leaves out."""

    def __init__(self, src: Path, images: VocImages) -> None:
        self.tally: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.left_out: list[str] = []
        self._src = src
        self._images = images

    def pages(self, parsed: XmlFiles) -> dict[Path, Page]:
        """Return the pages by annotation file.

        Raises:
            DataError: two images of one annotation file, or the other way round.
        """
        pages: dict[Path, Page] = {}
        taken: dict[Path, Path] = {}
        for xml in sorted([*parsed.roots, *parsed.faults]):
            root = parsed.roots.get(xml)
            if root is None or root.tag != "annotation":
                self._leave_out(xml, parsed.faults.get(xml, "is no VOC annotation"))
                continue
            image = self._images.image_of(xml, root.findtext("filename", "").strip())
            page = self._page(xml, root, image)
            if page is None:
                continue
            if page.image in taken:
                both = f"{xml} and {taken[page.image]} both annotate {page.image}"
                raise DataError(f"{both}, wanted one file an image; remove one of them")
            taken[page.image] = xml
            pages[xml] = page
        self._images.check()
        return pages

    def _leave_out(self, xml: Path, reason: str) -> None:
        self.left_out.append(f"{xml.relative_to(self._src).as_posix()} {reason}")

    def _page(self, xml: Path, root: ElementTree.Element, image: Path | None) -> Page | None:
        pixels = None if image is None else decode(image)
        if image is None or pixels is None:
            self._leave_out(xml, "has no image" if image is None else f"has an image that cannot be decoded ({image.name})")
            return None
        nodes = root.findall("object")
        size = pixels.shape[1], pixels.shape[0]
        stated = _stated(root)
        corners = [found for node in nodes if (found := _corners(node)) is not None]
        turned = stated == size[::-1] and _turned_by_exif(image, size)
        scale = scale_of(stated, size, corners, turned=turned)
        if stated is not None:
            example = f"{xml.name}: {stated[0]}x{stated[1]}, the image {size[0]}x{size[1]}"
            self.examples.setdefault(scale.verdict, example)
            if scale.verdict == "refused":
                self._leave_out(xml, f"states {stated[0]}x{stated[1]}, but its image is {size[0]}x{size[1]}: no telling where its boxes are")
                return None
        self.tally[scale.verdict] += 1
        page = Page(image, *size)
        page.objects += [found for node in nodes if (found := self._object(node, page, scale)) is not None]
        return page

    def _object(self, node: ElementTree.Element, page: Page, scale: Scale) -> Object | None:
        """Return an object with its box within the image; None where there is no name or no such box."""
        name, corners = node.findtext("name", "").strip(), _corners(node)
        if not name or corners is None or (corners[:2] == corners[2:]).any():
            self.tally["dropped"] += 1
            return None
        low, high = np.minimum(corners[:2], corners[2:]), np.maximum(corners[:2], corners[2:])
        first, last = (low - 1) * scale.factor, high * scale.factor
        edge = [page.width, page.height]
        start, end = np.clip(first, 0, edge), np.clip(last, 0, edge)
        if (start >= end).any():
            self.tally["dropped"] += 1
            return None
        difficult = node.findtext("difficult", "0").strip() == "1"
        self.tally["difficult"] += difficult
        self.tally["swapped"] += bool((low != corners[:2]).any())
        self.tally["clipped"] += bool((start != first).any() or (end != last).any())
        x, y, width, height = [*start.tolist(), *(end - start).tolist()]
        return Object(name, (x, y, width, height), ignore=difficult)


def _corners(node: ElementTree.Element) -> np.ndarray | None:
    """Return (4,) xmin, ymin, xmax, ymax; None where they are no finite numbers."""
    try:
        corners = np.array([float(node.findtext(f"bndbox/{key}", "")) for key in CORNERS])
    except ValueError:
        return None
    return corners if np.isfinite(corners).all() else None


def _stated(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return the width and height that a file states, if they are positive numbers."""
    try:
        width, height = (int(float(root.findtext(f"size/{key}", ""))) for key in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _turned_by_exif(image: Path, size: tuple[int, int]) -> bool:
    """Return whether an image is stored with width and height exchanged, to be turned by its EXIF orientation."""
    pixels = cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    return pixels is not None and pixels.shape[:2] == size
