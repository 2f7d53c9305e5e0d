"""Numbered work directories: nothing is ever overwritten."""

from __future__ import annotations

from pathlib import Path

from detkds_gp.errors import StoreError


def new_sibling(work_dir: Path) -> Path:
    """Make and return the first of ``name``, ``name-2``, ``name-3``, ... that does not exist.

    Raises:
        StoreError: the folder above cannot be written.
    """
    sibling, number = work_dir, 1
    while True:
        try:
            sibling.mkdir(parents=True)
            return sibling
        except FileExistsError:
            number += 1
            sibling = work_dir.with_name(f"{work_dir.name}-{number}")
        except OSError as error:
            raise StoreError(f"cannot make {sibling}: {error.strerror}; use another --work-dir") from error
