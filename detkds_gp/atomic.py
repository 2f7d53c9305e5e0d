"""Makes files and folders appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from detkds_gp.errors import StoreError, first_line


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary sibling to write, which becomes ``path`` when the block ends well.

    After an exception the sibling is removed and ``path`` is what it was; after a kill the sibling stays behind as
    ``.<name>.<process>`` and is never read.

    Raises:
        OSError: ``path`` is no file's, or cannot be written.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    sibling = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield sibling
        sibling.replace(path)
    finally:
        sibling.unlink(missing_ok=True)


@contextmanager
def atomic_tensors(path: Path, what: str, remedy: str = "free space, or choose another folder") -> Iterator[BinaryIO]:
    """Give a file to save tensors into, which becomes ``path`` when the block ends well, as `atomic_file` says.

    Args:
        path: the file.
        what: what it holds, for the message.
        remedy: what the user can do where it cannot be written.

    Raises:
        StoreError: it cannot be written, because the disk is full or else.
    """
    try:
        # An open file: given a path, torch would write its name into the file.
        with atomic_file(path) as unfinished, unfinished.open("wb") as file:
            yield file
    except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of what the disk refuses
        raise StoreError(f"cannot write {what} {path}: {first_line(error)}; {remedy}") from error


@contextmanager
def atomic_folder(out_dir: Path) -> Iterator[Path]:
    """Give a temporary sibling to write into, which becomes ``out_dir`` when the block ends well.

    After an exception the sibling is removed; after a kill it stays behind as ``.<name>.*`` and is
    never read.

    Raises:
        OSError: ``out_dir`` holds files, or its parent cannot be written.
    """
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    sibling = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        yield sibling
        sibling.chmod(0o755)
        sibling.replace(out_dir)
    except BaseException:
        shutil.rmtree(sibling, ignore_errors=True)
        raise


def holds_files(folder: Path) -> bool:
    """Return whether ``folder`` is a file or a folder with something in it."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
