"""Pages of Pascal VOC annotation files: each with its image, its boxes at the image's scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import cv2
import numpy as np

from detkds_gp.data.conversion import Object, Page, xywh
from detkds_gp.data.folders import images_among, nearness, parting
from detkds_gp.data.images import decode
from detkds_gp.data.xml_text import XmlFiles
from detkds_gp.errors import DataError

CORNERS = ("xmin", "ymin", "xmax", "ymax")
Verdict = Literal["as stated", "unstated", "scaled", "kept", "refused"]
SLACK = 0.02
"""How far over an edge, in sides of the image, a box may reach that still counts as inside."""
ROUNDED = 2
"""Pixels by which a stated size may be off without saying that the image was resized."""


class VocImages:
    """The images below a VOC folder, by name and by stem.

    Segmentation folders do not count, since their masks bear the names of images; nor, with ``within``, what is not
    below that folder.
    """

    def __init__(self, src: Path, files: Iterable[Path], within: Path | None = None) -> None:
        self.ambiguous: dict[Path, list[Path]] = {}
        self._by_key: dict[str, list[Path]] = {}
        for path in images_among(files):
            folders = path.relative_to(src).parts[:-1]
            masks = any(folder.lower().startswith("segmentation") for folder in folders)
            if not masks and (within is None or path.is_relative_to(within)):
                for key in {path.name.lower(), path.stem.lower()}:
                    self._by_key.setdefault(key, []).append(path)

    def image_of(self, xml: Path, filename: str) -> Path | None:
        """Return the image of the stem of ``xml``, else called ``filename``; of several the nearest.

        Where two are as near, the first is returned and all are noted in ``ambiguous``.
        """
        named = Path(filename.replace("\\", "/")).name.lower()
        keys = xml.stem.lower(), named, Path(named).stem
        candidates = next((self._by_key[key] for key in keys if key in self._by_key), [])
        ranks = {path: (path.stem == xml.stem, path.name.lower() == named, nearness(path, xml)) for path in candidates}
        best = [path for path in candidates if ranks[path] == max(ranks.values())]
        if len(best) > 1:
            self.ambiguous[xml] = best
        return best[0] if best else None

    def check(self) -> None:
        """Refuse annotation files that have two images.

        Raises:
            DataError: there are some.
        """
        if not self.ambiguous:
            return
        xml, (first, second, *_) = next(iter(self.ambiguous.items()))
        more = f" ({len(self.ambiguous)} files are so)" if len(self.ambiguous) > 1 else ""
        one, other = parting(first.parent, second.parent), parting(second.parent, first.parent)
        remedy = f"say which folder counts: --images {one} or --images {other}" if one != other else "take one away"
        raise DataError(f"{xml} fits {first} and {second}{more}; {remedy}")


class VocReader:
    """Reads annotation files one by one.

    Attributes:
        counts: of boxes ``difficult``, ``clipped``, ``swapped`` and ``dropped``, and of the verdicts on sizes.
        examples: the first file of each verdict, with its sizes.
        left_out: the files that cannot be used, each with the reason.
    """

    def __init__(self, src: Path, images: VocImages) -> None:
        self.counts: Counter[str] = Counter()
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
            page = self._page(xml, root, self._images.image_of(xml, root.findtext("filename", "").strip()))
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
            self._leave_out(xml, f"has an image that cannot be decoded ({image.name})" if image else "has no image")
            return None
        nodes = root.findall("object")
        size = pixels.shape[1], pixels.shape[0]
        stated = _stated(root)
        corners = [box for node in nodes if (box := _corners(node)) is not None]
        turned = stated == size[::-1] and _turned_by_exif(image, size)
        verdict = verdict_on(stated, size, corners, turned=turned)
        if stated is not None:
            sizes = f"{stated[0]}x{stated[1]}, the image {size[0]}x{size[1]}"
            self.examples.setdefault(verdict, f"{xml.name}: {sizes}")
            if verdict == "refused":
                self._leave_out(xml, f"states {sizes}: no telling where its boxes are")
                return None
        self.counts[verdict] += 1
        factor = np.divide(size, stated) if stated is not None and verdict == "scaled" else np.ones(2)
        page = Page(image, *size)
        page.objects += [found for node in nodes if (found := self._object(node, page, factor)) is not None]
        return page

    def _object(self, node: ElementTree.Element, page: Page, factor: np.ndarray) -> Object | None:
        """Return an object with its box within the image; None where there is no name or no such box."""
        name, corners = node.findtext("name", "").strip(), _corners(node)
        if not name or corners is None or (corners[:2] == corners[2:]).any():
            self.counts["dropped"] += 1
            return None
        low, high = np.minimum(corners[:2], corners[2:]), np.maximum(corners[:2], corners[2:])
        first, last = (low - 1) * factor, high * factor
        edge = [page.width, page.height]
        start, end = np.clip(first, 0, edge), np.clip(last, 0, edge)
        if (start >= end).any():
            self.counts["dropped"] += 1
            return None
        difficult = node.findtext("difficult", "0").strip() == "1"
        self.counts["difficult"] += difficult
        self.counts["swapped"] += bool((low != corners[:2]).any())
        self.counts["clipped"] += bool((start != first).any() or (end != last).any())
        return Object(name, xywh(start, end), ignore=difficult)


def verdict_on(
    stated: tuple[int, int] | None, size: tuple[int, int], corners: Sequence[np.ndarray], *, turned: bool = False
) -> Verdict:
    """Decide what the size in an annotation file says beside the size of its image.

    Args:
        stated: width and height in the file; None if it gives no positive numbers.
        size: width and height of the image, its EXIF orientation applied.
        corners: (4,) xmin, ymin, xmax, ymax of each object.
        turned: whether the image is stored in the stated size, and its EXIF orientation exchanges the sides.

    Returns:
        ``scaled``: the image was resized after it was annotated, boxes times size / stated are those of the image;
        ``kept``: the stated size is wrong, for the boxes fit the image; ``refused``: no telling where the boxes are.
    """
    if stated is None or stated == size:
        return "unstated" if stated is None else "as stated"
    boxes = np.array(corners).reshape(-1, 4)
    if turned:
        return "refused"  # annotated on the stored pixels, perhaps: mmdet and OpenCV turn them
    if np.abs(np.subtract(stated, size)).max() <= ROUNDED:
        return "kept"
    low, high = (np.add(size, off) / stated for off in (-1, 1))  # one factor for both sides, rounded up or down
    if low.max() <= high.min() and _inside(boxes, stated):
        return "scaled"
    exchanged = stated == size[::-1]  # a fault of many scripts
    return "kept" if _inside(boxes, size) and (exchanged or not _inside(boxes, stated)) else "refused"


def _inside(boxes: np.ndarray, size: tuple[int, int]) -> bool:
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    slack = 1 + SLACK * np.array(size)
    return bool((low >= -slack).all() and (high <= size + slack).all())


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
