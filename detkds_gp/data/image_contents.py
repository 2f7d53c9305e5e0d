"""A look into image files: which of a split cannot be decoded or are nearly black, and which are in two splits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from os.path import basename
from typing import NamedTuple

import cv2
import numpy as np

from detkds_gp.data.conversion import few
from detkds_gp.data.findings import Tally
from detkds_gp.data.header_reader import ImageFile, in_threads
from detkds_gp.data.images import decoded_if_possible
from detkds_gp.data.split import CocoSplit, ImageRecord

LOOKED_AT = 16
"""Images of a split; decoding all of a large one takes minutes."""
DARK = 32
"""An image is nearly black if none of its values, of 255, reaches this."""
HEAD = 4096
"""Bytes that are compared first; few different images of one size begin alike."""


def readable(split: CocoSplit) -> list[tuple[ImageRecord, ImageFile]]:
    """Return the images with a header that OpenCV reads, each with its file."""
    pairs = zip(split.images, split.files, strict=True)
    return [(record, file) for record, file in pairs if not file.header.unreadable]


def spread(records: Sequence[ImageRecord], count: int) -> list[ImageRecord]:
    """Return so many records, evenly spread from the first to the last; all if there are fewer."""
    if len(records) <= count:
        return list(records)
    return [records[round(number * (len(records) - 1) / max(1, count - 1))] for number in range(count)]


def look_at_pixels(split: CocoSplit, tally: Tally) -> int:
    """Decode some images and count those that are nearly black or cannot be decoded; return how many were looked at.

    Images of more than 8 bits a channel are looked at first: cameras and scanners often fill a part of 16 bits only,
    and OpenCV sees the upper 8.
    """
    pairs = readable(split)
    deep = [record for record, file in pairs if file.header.bits > 8]
    chosen = spread(deep or [record for record, _ in pairs], LOOKED_AT)
    stretched = False
    for record in chosen:
        pixels = decoded_if_possible(record.path)
        if pixels is None:
            tally.add("broken_images", f"{record.path.name} cannot be decoded by OpenCV")
        elif pixels.max(initial=0) < DARK:
            told = f"{record.path.name}: its brightest value is {pixels.max(initial=0)} of 255"
            stored = decoded_if_possible(record.path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
            if stored is not None and stored.dtype == np.uint16:
                stretched = True
                told += f" (stored: {stored.max():,} of {np.iinfo(np.uint16).max:,})"
            tally.add("dark", told)
    if stretched:
        remedy = "write them as 8 bits, scaled to 0..255"
        tally.explain("dark", f"they use a few of their 16 bits, and only the upper 8 are seen; {remedy}")
    return len(chosen)


class _File(NamedTuple):
    split: str
    path: str
    size: int


def count_equal_images(splits: Mapping[str, CocoSplit], tally: Tally) -> None:
    """Count the image files that are, byte for byte, in two splits; the first pairs are the example."""
    every = [
        _File(name, str(record.path), file.size)
        for name, split in splits.items()
        for record, file in zip(split.images, split.files, strict=True)
    ]
    groups = _shared([every], lambda file: file.size)
    groups = _shared(groups, _digests([file for group in groups for file in group], HEAD).__getitem__)
    longer = [file for group in groups for file in group if file.size > HEAD]
    groups = _shared(groups, _digests(longer, -1).get)
    pairs = [(group[0], next(file for file in group if file.split != group[0].split)) for group in groups]
    named = [" and ".join(f"{file.split} {basename(file.path)}" for file in pair) for pair in pairs]
    if groups:
        tally.add("equal_images", few(named), sum(len(group) - 1 for group in groups))


def _shared(groups: Iterable[list[_File]], key: Callable[[_File], Hashable]) -> list[list[_File]]:
    """Divide groups by a key, and keep what more than one split has."""
    found: dict[tuple[int, Hashable], list[_File]] = defaultdict(list)
    for number, group in enumerate(groups):
        for file in group:
            found[number, key(file)].append(file)
    return [group for group in found.values() if len({file.split for file in group}) > 1]


def _digests(files: Sequence[_File], limit: int) -> dict[_File, bytes]:
    """Return the hash of each file's first bytes, -1 for all of them; of one that cannot be read, its path."""

    def digest(file: _File) -> bytes:
        try:
            with open(file.path, "rb", buffering=0) as opened:
                return hashlib.blake2b(opened.read(limit), digest_size=16).digest()
        except OSError:
            return file.path.encode()

    return dict(zip(files, chain.from_iterable(in_threads(digest, files)), strict=True))
