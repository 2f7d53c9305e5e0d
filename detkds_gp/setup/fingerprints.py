"""Short hashes of values and of files: where files lie does not matter, what they hold does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

LENGTH = 16
"""Hexadecimal digits of a hash."""


def hash_of(values: Any) -> str:
    """Return a hash of nested values, in which the order of keys does not count."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:LENGTH]


def file_hash(path: str | Path) -> str:
    """Return a hash of what a file holds.

    Raises:
        OSError: if it cannot be read.
    """
    with Path(path).open("rb") as file:
        digest = hashlib.sha256()
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()[:LENGTH]
