"""A reader of many image headers: in parallel, and only of files that changed since they were read last."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from detkds_gp.atomic import atomic_file
from detkds_gp.data.headers import ImageHeader, read_header

THREADS = 16  # they wait for disks, not for the processor
CHUNK = 100  # a thread's share at a time
KEPT_FROM = 200
"""Files of a folder from which on their headers are kept: fewer are read at once."""

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
        parts = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
        found: list[ImageFile | None] = []
        with ThreadPoolExecutor(THREADS) as pool:
            for part in pool.map(lambda part: [_read(path, known) for path in part], parts):
                found += part
                if self._progress is not None:
                    self._progress(len(found), len(paths))
        self._keep(paths, found, known)
        return found

    def _known(self, folders: Iterable[str]) -> dict[str, ImageFile]:
        known: dict[str, ImageFile] = {}
        for folder in folders:
            try:
                rows = json.loads(self._file(folder).read_bytes()) if self._cache_dir else {}
                for name, (size, changed, *header) in rows.items():
                    known[os.path.join(folder, name)] = ImageFile(ImageHeader(*header), size, changed, (0, 0))
            except (OSError, ValueError, TypeError, AttributeError):  # a file of another version, or a damaged one
                continue
        return known

    def _keep(self, paths: Sequence[str], found: Sequence[ImageFile | None], known: dict[str, ImageFile]) -> None:
        """Write the headers of each folder that has new ones; where that fails they are read again next time."""
        if self._cache_dir is None:
            return
        folders: dict[str, dict[str, ImageFile]] = defaultdict(dict)
        for path, file in zip(paths, found, strict=True):
            if file is not None:
                folders[os.path.dirname(path)][path] = file
        for folder, files in folders.items():
            if len(files) < KEPT_FROM or all(_same(known.get(path), file) for path, file in files.items()):
                continue
            rows = {path: file for path, file in known.items() if os.path.dirname(path) == folder} | files
            content = {os.path.basename(p): [f.size, f.changed, *f.header] for p, f in rows.items()}
            try:
                self._cache_dir.mkdir(parents=True, exist_ok=True)
                with atomic_file(self._file(folder)) as unfinished:
                    unfinished.write_text(json.dumps(content, separators=(",", ":")))
            except OSError:
                return

    def _file(self, folder: str) -> Path:
        assert self._cache_dir is not None
        return self._cache_dir / f"{hashlib.sha256(os.path.abspath(folder).encode()).hexdigest()[:16]}.json"


def _read(path: str, known: dict[str, ImageFile]) -> ImageFile | None:
    try:
        state = os.stat(path)
        place, before = (state.st_dev, state.st_ino), known.get(path)
        if before is not None and (before.size, before.changed) == (state.st_size, state.st_mtime_ns):
            return before._replace(place=place)
        return ImageFile(read_header(path, state.st_size), state.st_size, state.st_mtime_ns, place)
    except OSError:
        return None


def _same(before: ImageFile | None, now: ImageFile) -> bool:
    return before is not None and (before.size, before.changed) == (now.size, now.changed)
