"""One writer per work directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from detkds_gp.errors import StoreError


@contextmanager
def sole_writer(work_dir: Path) -> Iterator[None]:
    """Make the directory and hold its writer's lock; the kernel frees it when the process dies.

    Raises:
        StoreError: another process (or this one) holds the lock, or the directory is unusable.
    """
    with ExitStack() as opened:
        try:
            work_dir.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context((work_dir / "store.lock").open("a+"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except BlockingIOError:
            file.seek(0)
            raise StoreError(
                f"{work_dir} is being written by process {file.read() or '(unknown)'}; "
                "let it finish, stop it, or use another --work-dir"
            ) from None
        except OSError as error:
            reason = f"cannot write in {work_dir}: {error.strerror}"
            raise StoreError(f"{reason}; make it writable or use another --work-dir") from error
        yield


def writer_of(work_dir: Path) -> str | None:
    """Return the id of the process that writes in a work directory; None if none does."""
    try:
        with (work_dir / "store.lock").open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or "(unknown)"
    except OSError:
        return None
    return None
