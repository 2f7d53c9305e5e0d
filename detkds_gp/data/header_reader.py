"""A reader of many image headers: in parallel, and only of files that changed since they were read last."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from detkds_gp.atomic import atomic_file
from detkds_gp.data.headers import ImageHeader, read_header

THREADS, CHUNK = 16, 100
"""Threads, which wait for disks and not for the processor, and how many files one takes at a time."""
KEPT_FROM = 200
"""Files from which on their headers are kept: fewer are read at once."""

T, R = TypeVar("T"), TypeVar("R")
Progress = Callable[[int, int], None]
"""Hears how many of how many headers have been read."""


class ImageFile(NamedTuple):
    """An image file and its header.

    Attributes:
        header: what its head says.
        size: bytes.
        changed: its time of modification, in nanoseconds.
        place: device and inode: equal for two paths to one file.
    """

    header: ImageHeader
    size: int
    changed: int
    place: tuple[int, int]

    @property
    def state(self) -> tuple[int, int]:
        """What is another after the file was written anew."""
        return self.size, self.changed


class HeaderReader:
    """Reads headers and keeps them by path, size and time of modification.

    Args:
        cache_dir: where headers are kept, one file for all folders that are read together; None keeps none.
        progress: hears how far a reading is.
    """

    def __init__(self, cache_dir: str | Path | None = None, progress: Progress | None = None) -> None:
        self._cache_dir = None if cache_dir is None else Path(cache_dir) / "headers"
        self._progress = progress

    def read(self, paths: Sequence[str]) -> list[ImageFile | None]:
        """Return each file with its header; None for one that is missing, no file or unreadable."""
        kept_in = None if self._cache_dir is None else self._cache_dir / f"{_folders_hash(paths)}.json"
        known = _known(kept_in)
        found: list[ImageFile | None] = []
        for part in in_threads(lambda path: _read(path, known), paths):
            found += part
            if self._progress is not None:
                self._progress(len(found), len(paths))
        read = {path: file for path, file in zip(paths, found, strict=True) if file is not None}
        new = any(path not in known or known[path].state != file.state for path, file in read.items())
        if kept_in is not None and new and len(read) >= KEPT_FROM:
            content = {path: [*file.state, file.header] for path, file in (known | read).items()}
            with suppress(OSError):  # they are read again next time
                kept_in.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(kept_in) as unfinished:
                    unfinished.write_text(json.dumps(content, separators=(",", ":")))
        return found


def _folders_hash(paths: Iterable[str]) -> str:
    folders = sorted({os.path.dirname(path) for path in paths})
    return hashlib.sha256("\n".join(map(os.path.abspath, folders)).encode(errors="surrogateescape")).hexdigest()[:16]


def _known(kept_in: Path | None) -> dict[str, ImageFile]:
    try:
        rows = json.loads(kept_in.read_bytes()) if kept_in else {}
        return {path: ImageFile(ImageHeader(*header), *state, (0, 0)) for path, (*state, header) in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # a file of another version, or a damaged one
        return {}


def _read(path: str, known: dict[str, ImageFile]) -> ImageFile | None:
    try:
        stat, before = os.stat(path), known.get(path)
        state, place = (stat.st_size, stat.st_mtime_ns), (stat.st_dev, stat.st_ino)
        header = before.header if before is not None and before.state == state else read_header(path, stat.st_size)
        return ImageFile(header, *state, place)
    except OSError:
        return None


def in_threads(read: Callable[[T], R], items: Sequence[T]) -> Iterator[list[R]]:
    """Yield what is read of items, in their order, many at a time."""
    parts = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(lambda part: [read(item) for item in part], parts)
