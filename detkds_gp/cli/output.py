"""The files that commands write: what cannot be written is refused before anything long begins."""

from __future__ import annotations

from pathlib import Path


def check_writable(path: Path) -> None:
    """Make a file's folder and see that the file can be written; it is what it was, or is not there.

    Raises:
        ConfigError: it cannot be written.
    """
    from detkds_gp.errors import ConfigError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise ConfigError(
            f"cannot write {str(path)!r} ({error.strerror}); give -o a file in a writable folder"
        ) from error
