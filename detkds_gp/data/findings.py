"""Findings about a data set: what was mended, what looks wrong, what is refused, each counted with an example."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["mended", "warning", "refused"]

KINDS: dict[str, tuple[Level, str]] = {
    "numbers": ("mended", "numbers written as text: {count}; read as numbers"),
    "annotation_ids": ("mended", "annotation ids that are 0, missing or not unique: {count}; all are numbered from 1"),
    "flags": ("mended", "'iscrowd' or 'ignore' that are null, text or true/false: {count}; read as 0 or 1"),
    "areas": ("mended", "areas missing, not above 0 or larger than their box: {count}; width x height is taken"),
    "sizes": ("mended", "images without width and height in the file: {count}; read from the image"),
    "backslashes": ("mended", "file names with backslashes: {count}; read as slashes"),
    "root_category": ("mended", "categories without objects that are only a supercategory: {count}; left out"),
    "same_name": ("mended", "categories without objects that have the name of another one: {count}; left out"),
    "lacking": ("warning", "classes that are no category of this file: {count}; it has no object of them"),
    "other_class": ("warning", "annotations of categories that are no class of this data set: {count}; left out"),
    "no_area": ("warning", "boxes without width or height: {count}; left out"),
    "outside": ("warning", "boxes wholly outside their image: {count}; left out"),
    "thin": ("warning", "boxes thinner than 1 pixel: {count}; scored, but not learned"),
    "reaching_out": ("warning", "{count} of {boxes} boxes reach out of their image"),
    "repeated_boxes": ("warning", "boxes that stand twice (image, class and corners are the same): {count}"),
    "entries": ("warning", "image files with more than one entry: {count}; each entry is an image of its own"),
    "orientation": (
        "warning",
        "{count} of {images} images carry an EXIF orientation: they are turned upright when they are read, and boxes "
        "are taken as boxes on the turned image; where a contact sheet shows them off their objects, remove the "
        "orientation",
    ),
    "deep": ("warning", "{count} of {images} images have more than 8 bits a channel: only the upper 8 bits are seen"),
    "turned_sizes": (
        "refused",
        "{count} of {images} images are turned by their EXIF orientation, but the file has their size before the turn; "
        "turn pixels and boxes (exiftran -ai turns pixels), or remove the orientation",
    ),
    "wrong_sizes": (
        "refused",
        "{count} of {images} images have another size than the file says; write the true sizes, and scale the boxes if "
        "the images were resized after they were labelled",
    ),
    "broken_images": ("refused", "{count} of {images} images cannot be read; replace them or remove their entries"),
    "fractions": ("refused", "all boxes lie between 0 and 1, as fractions of the image; multiply them by its size"),
    "nothing_to_learn": (
        "refused",
        "got {boxes} annotations of the classes, but none to learn (all crowd, ignored or degenerate), wanted 1 at "
        "least; mend the boxes, or take a larger part",
    ),
    "empty_classes": ("warning", "classes without an object to learn in train: {count}"),
    "equal_images": (
        "warning",
        "images of one split that are byte for byte in another: {count}; remove one of each pair",
    ),
    "dark": ("warning", "{count} of {images} images looked at are nearly black"),
}
"""What is known of data: how grave it is, and what is said, with how many of how many."""


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found in a data set.

    Attributes:
        kind: one of `KINDS`.
        count: how often.
        example: one of them.
        text: the whole line without the example.
    """

    kind: str
    count: int
    example: str
    text: str

    @property
    def level(self) -> Level:
        """Whether it was mended, should be looked at, or is refused."""
        return KINDS[self.kind][0]

    def to_json(self) -> dict[str, str | int]:
        """Return plain JSON values."""
        return {**asdict(self), "level": self.level}

    def __str__(self) -> str:
        return f"{self.text}, e.g. {self.example}" if self.example else self.text


class Tally:
    """Counts what is found and keeps one example of each kind.

    Attributes:
        fates: how many annotations became what, in the words of `Account`.
    """

    def __init__(self) -> None:
        self.fates: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._more: dict[str, str] = {}

    def add(self, kind: str, example: str, count: int = 1) -> None:
        """Count a finding; the first example stays."""
        self._counts[kind] += count
        self._examples.setdefault(kind, example)

    def explain(self, kind: str, text: str) -> None:
        """Add to the line of a kind what its findings have in common."""
        self._more[kind] = text

    def __getitem__(self, kind: str) -> int:
        """Return how often a kind was found."""
        return self._counts[kind]

    def findings(self, images: int = 0, boxes: int = 0) -> tuple[Finding, ...]:
        """Return what was found, in the order of `KINDS`, among so many images and boxes."""
        found = []
        for kind in (kind for kind in KINDS if kind in self._counts):
            text = KINDS[kind][1].format(count=self._counts[kind], images=images, boxes=boxes)
            text += f": {self._more[kind]}" if kind in self._more else ""
            found.append(Finding(kind, self._counts[kind], self._examples[kind], text))
        return tuple(found)
