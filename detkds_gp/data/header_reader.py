"""A reader of many image headers: in parallel, and only of files that changed since they were read last."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from detkds_gp.atomic import atomic_file
from detkds_gp.data.headers import ImageHeader, read_header

THREADS, CHUNK = 16, 100
"""Threads, which wait for disks and not for the processor, and how many files one takes at a time."""
KEPT_FROM = 200
"""Files of a folder from which on their headers are kept: fewer are read at once."""

T = TypeVar("T")
R = TypeVar("R")
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
        cache_dir: where headers are kept, one file for each folder of images; None keeps none.
        progress: hears how far a reading is.
    """

    def __init__(self, cache_dir: str | Path | None = None, progress: Progress | None = None) -> None:
        self._cache_dir = None if cache_dir is None else Path(cache_dir) / "headers"
        self._progress = progress

    def read(self, paths: Sequence[str]) -> list[ImageFile | None]:
        """Return each file with its header; None for one that is missing, no file or unreadable."""
        known = self._known({os.path.dirname(path) for path in paths})
        found: list[ImageFile | None] = []
        for part in in_threads(lambda path: _read(path, known), paths):
            found += part
            if self._progress is not None:
                self._progress(len(found), len(paths))
        self._keep({path: file for path, file in zip(paths, found, strict=True) if file is not None}, known)
        return found

    def _known(self, folders: Iterable[str]) -> dict[str, ImageFile]:
        known: dict[str, ImageFile] = {}
        for folder in folders if self._cache_dir else ():
            with suppress(OSError, ValueError, TypeError, AttributeError):  # of another version, or damaged
                for name, (size, changed, *header) in json.loads(self._file(folder).read_bytes()).items():
                    known[os.path.join(folder, name)] = ImageFile(ImageHeader(*header), size, changed, (0, 0))
        return known

    def _keep(self, found: dict[str, ImageFile], known: dict[str, ImageFile]) -> None:
        """Write the headers of each folder that has new ones; where that fails they are read again next time."""
        new = [path for path, file in found.items() if path not in known or known[path].state != file.state]
        if self._cache_dir is None or not new:
            return
        rows: dict[str, dict[str, list[Any]]] = defaultdict(dict)
        for path, file in (known | found).items():
            folder, name = os.path.split(path)
            rows[folder][name] = [*file.state, *file.header]
        for folder in dict.fromkeys(map(os.path.dirname, new)):
            if len(rows[folder]) >= KEPT_FROM:
                with suppress(OSError):
                    self._file(folder).parent.mkdir(parents=True, exist_ok=True)
                    with atomic_file(self._file(folder)) as unfinished:
                        unfinished.write_text(json.dumps(rows[folder], separators=(",", ":")))

    def _file(self, folder: str) -> Path:
        assert self._cache_dir is not None
        return self._cache_dir / f"{hashlib.sha256(os.path.abspath(folder).encode()).hexdigest()[:16]}.json"


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
