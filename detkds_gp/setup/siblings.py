"""Numbered work directories: nothing is ever overwritten."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from detkds_gp.errors import StoreError


def new_sibling(work_dir: Path) -> Path:
    """Make and return the first of ``name``, ``name-2``, ``name-3``, ... that does not exist.

    Raises:
        StoreError: the folder above cannot be written.
    """
    for number in count(1):
        sibling = work_dir if number == 1 else work_dir.with_name(f"{work_dir.name}-{number}")
        try:
            sibling.mkdir(parents=True)
            return sibling
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"cannot make {sibling}: {error.strerror}; use another --work-dir") from error
    raise AssertionError("unreachable")
