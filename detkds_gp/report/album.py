"""Painted images of a folder, as a page carries them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from detkds_gp.report.run import Pictures

INDEX = "album.json"


def album(folder: Path, **about: Any) -> tuple[Pictures, ...]:
    """Return the pictures of an album; none where there is no album, it is broken, or is about something else.

    Args:
        folder: only files of it are read.
        about: what its index has to tell.
    """
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        told = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if all(told.get(key) == value for key, value in about.items()):
            return tuple(_pictures(image, folder) for image in told["images"])
    return ()


def _pictures(told: Mapping[str, Any], folder: Path) -> Pictures:
    return Pictures(told["name"], {who: jpeg(folder, name) for who, name in told["files"].items()}, {})


def jpeg(folder: Path, name: str) -> str:
    """Return a picture as base64; empty if it is gone. Only files of the folder itself are read."""
    path = folder / Path(name).name
    return b64encode(path.read_bytes()).decode("ascii") if path.suffix == ".jpg" and path.is_file() else ""
