"""Images of different splits whose files are the same, byte for byte."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from os.path import basename
from typing import NamedTuple

from detkds_gp.data.conversion import few
from detkds_gp.data.findings import Tally
from detkds_gp.data.split import CocoSplit

HEAD = 4096
"""Bytes that are compared first; few different images of one size begin alike."""
THREADS, CHUNK = 16, 100  # they wait for disks, each for some files at a time


class _File(NamedTuple):
    split: str
    path: str
    size: int


def count_equal_images(splits: Mapping[str, CocoSplit], tally: Tally) -> None:
    """Count the image files that are in two splits under different names; the first pairs are the example."""
    every = [
        _File(name, str(record.path), file.size)
        for name, split in splits.items()
        for record, file in zip(split.images, split.files, strict=True)
    ]
    groups = _shared([every], lambda file: file.size)
    groups = _shared(groups, _digests([file for group in groups for file in group], HEAD).__getitem__)
    longer = [file for group in groups for file in group if file.size > HEAD]
    groups = _shared(groups, _digests(longer, None).get)
    if groups:
        tally.add("equal_images", few([_pair(group) for group in groups]), sum(len(group) - 1 for group in groups))


def _pair(group: Sequence[_File]) -> str:
    """Name the first file of a group and the first one of another split."""
    one, other = group[0], next(file for file in group if file.split != group[0].split)
    return f"{one.split} {basename(one.path)} and {other.split} {basename(other.path)}"


def _shared(groups: Iterable[list[_File]], key: Callable[[_File], Hashable]) -> list[list[_File]]:
    """Divide groups by a key, and keep what more than one split has."""
    found: dict[tuple[int, Hashable], list[_File]] = defaultdict(list)
    for number, group in enumerate(groups):
        for file in group:
            found[number, key(file)].append(file)
    return [group for group in found.values() if len({file.split for file in group}) > 1]


def _digests(files: Sequence[_File], limit: int | None) -> dict[_File, bytes]:
    """Return the hash of each file, or of its first bytes."""
    parts = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda part: [_digest(file.path, limit) for file in part], parts)
        return dict(zip(files, chain.from_iterable(found), strict=True))


def _digest(path: str, limit: int | None) -> bytes:
    """Return the hash of a file, or of its first bytes; of one that cannot be read, its path."""
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.blake2b(file.read(-1 if limit is None else limit), digest_size=16).digest()
    except OSError:
        return path.encode()
