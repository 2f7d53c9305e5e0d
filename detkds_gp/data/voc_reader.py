"""Pages of Pascal VOC annotation files: each with its image, its boxes at the image's scale."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from detkds_gp.data.conversion import Object, Page, xywh
from detkds_gp.data.images import decode
from detkds_gp.data.voc_layout import VocImages
from detkds_gp.data.voc_sizes import Scale, scale_of
from detkds_gp.data.xml_text import XmlFiles
from detkds_gp.errors import DataError

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocReader:
    """Reads annotation files one by one.

    Args:
        src: the VOC folder.
        images: those of the folder.

    Attributes:
        tally: counts of what was mended: ``difficult``, ``clipped``, ``swapped``, ``dropped``, and of the verdicts on
            sizes.
        examples: the first file of each verdict, with its sizes.
        left_out: the files that cannot be used, each with the reason.
    """

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
            self._leave_out(
                xml, "has no image" if image is None else f"has an image that cannot be decoded ({image.name})"
            )
            return None
        nodes = root.findall("object")
        size = pixels.shape[1], pixels.shape[0]
        stated = _stated(root)
        corners = [box for node in nodes if (box := _corners(node)) is not None]
        turned = stated == size[::-1] and _turned_by_exif(image, size)
        scale = scale_of(stated, size, corners, turned=turned)
        if stated is not None:
            sizes = f"{stated[0]}x{stated[1]}, the image {size[0]}x{size[1]}"
            self.examples.setdefault(scale.verdict, f"{xml.name}: {sizes}")
            if scale.verdict == "refused":
                self._leave_out(xml, f"states {sizes}: no telling where its boxes are")
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
        return Object(name, xywh(start, end), ignore=difficult)


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
