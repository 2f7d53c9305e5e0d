"""Images of different splits whose files are the same, byte for byte."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from detkds_gp.data.findings import Tally
from detkds_gp.data.split import CocoSplit

HEAD = 4096
"""Bytes that are compared first; few different images of one size begin alike."""
THREADS = 16  # they wait for disks


class _File(NamedTuple):
    split: str
    path: Path
    size: int


def count_equal_images(splits: Mapping[str, CocoSplit], tally: Tally) -> None:
    """Count the image files that are in two splits under different names; one pair is the example."""
    every = [
        _File(name, record.path, file.size)
        for name, split in splits.items()
        for record, file in zip(split.images, split.files, strict=True)
    ]
    groups: list[list[_File]] = _shared([every], lambda file: file.size)
    with ThreadPoolExecutor(THREADS) as pool:
        for limit in (HEAD, None):
            files = [file for group in groups for file in group]
            digests = dict(zip(files, pool.map(partial(_digest, limit=limit), files), strict=True))
            groups = _shared(groups, digests.__getitem__)
    for group in groups:
        one, other = group[0], next(file for file in group if file.split != group[0].split)
        tally.add("equal_images", f"{one.split} {one.path.name} and {other.split} {other.path.name}", len(group) - 1)


def _shared(groups: Iterable[list[_File]], key: Callable[[_File], Hashable]) -> list[list[_File]]:
    """Divide groups by a key, and keep what more than one split has."""
    found: dict[tuple[int, Hashable], list[_File]] = defaultdict(list)
    for number, group in enumerate(groups):
        for file in group:
            found[number, key(file)].append(file)
    return [group for group in found.values() if len({file.split for file in group}) > 1]


def _digest(file: _File, limit: int | None) -> bytes:
    """Return the hash of a file, or of its first bytes; of one that cannot be read, its path."""
    try:
        with file.path.open("rb") as opened:
            return hashlib.blake2b(opened.read(-1 if limit is None else limit)).digest()
    except OSError:
        return str(file.path).encode()
