"""Modules that travel to workers as source, because another machine has no copy of them."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType


def sources_beside(modules: Iterable[str]) -> dict[str, str]:
    """Return by name the source of imported modules, and of all loaded ones in the same folders that are not installed.

    A package's name ends with ``.``.
    """
    own = [name for name in modules if name.partition(".")[0] != __name__.partition(".")[0]]
    folders = {folder for name in own if (folder := _folder(name)) is not None}
    found: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        if file.suffix == ".py" and file.is_file() and name != "__main__" and _folder(name) in folders:
            found[f"{name}." if hasattr(module, "__path__") else name] = file.read_text(encoding="utf-8")
    return found


def _folder(name: str) -> Path | None:
    """Return the folder that holds a module's outermost package; None for what is installed."""
    file = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None)
    if file is None:
        return None
    path = Path(file).resolve()
    if "site-packages" in path.parts:
        return None
    return path.parent.parent if path.name == "__init__.py" else path.parent


def install(sources: Mapping[str, str]) -> None:
    """Make the modules importable here, before any file of the same name."""
    if sources:
        sys.meta_path.insert(0, _Travelled(sources))


class _Travelled(MetaPathFinder, Loader):
    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package = f"{name}." in self._sources
        known = package or name in self._sources
        return spec_from_loader(name, self, is_package=package) if known else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        source = self._sources[name if name in self._sources else f"{name}."]
        file = f"<{name}, travelled>"
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # for tracebacks and inspect
        exec(compile(source, file, "exec"), vars(module))
