"""Where Python finds ``mmcv._ext``: compiled, else here. Imports little, since it runs at every start of Python."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

NAME = "mmcv._ext"


class OperatorFinder:
    """Finds ``mmcv._ext`` in this package; Python asks it after all others, so a compiled one comes first."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the place of our operators under mmcv's name, and of nothing else."""
        if fullname != NAME:
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(fullname, os.path.join(os.path.dirname(__file__), "extension.py"))


def serve_operators() -> None:
    """Let this process find our operators where mmcv has none compiled; a second call changes nothing."""
    if not any(isinstance(finder, OperatorFinder) for finder in sys.meta_path):
        sys.meta_path.append(OperatorFinder())


def active_operators() -> str:
    """Return whose operators mmcv uses, without importing it.

    Returns:
        ``mmcv 2.1.0, compiled`` or ``mmcv 2.1.0, operators of torchvision 0.29.1``.

    Raises:
        PackageNotFoundError: torchvision or mmcv is not installed.
    """
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    mmcv = find_spec("mmcv")
    places = mmcv.submodule_search_locations if mmcv else None
    if places and PathFinder.find_spec(NAME, list(places)):
        return f"mmcv {version('mmcv')}, compiled"
    try:
        release = version("mmcv-lite")
    except PackageNotFoundError:
        release = version("mmcv")
    return f"mmcv {release}, operators of torchvision {version('torchvision')}"
