"""Packages whose names are imported when they are first asked for (PEP 562), so that nobody pays for what he leaves."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.util import resolve_name
from types import ModuleType
from typing import Any


def import_lazily(package: str) -> None:
    """Let a package give the names that it imports under ``if TYPE_CHECKING:``, each imported at its first use.

    The imports stand in the package as ordinary statements, where type checkers and readers find them::

        if TYPE_CHECKING:
            from detkds_gp.store.store import Store

        __all__ = ["Store"]
        import_lazily(__name__)

    Args:
        package: ``__name__`` in the package's ``__init__``.

    Raises:
        TypeError: ``__all__`` and these imports do not name the same.
    """
    module = sys.modules[package]
    origins = dict(_origins(module))
    if origins.keys() != set(module.__all__):
        different = ", ".join(sorted(origins.keys() ^ set(module.__all__)))
        raise TypeError(f"{package}: __all__ and the imports under TYPE_CHECKING differ in {different}")
    module.__dict__["_origins"] = origins
    module.__class__ = LazyPackage


class LazyPackage(ModuleType):
    """A package whose names are imported when they are first asked for."""

    _origins: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self._origins:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = self.__dict__[name] = getattr(import_module(self._origins[name]), name)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Python binds every imported submodule to its package; `language.canonical` has to stay the function.
        if not (name in self._origins and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._origins})


def _origins(package: ModuleType) -> list[tuple[str, str]]:
    """Return every name imported under ``if TYPE_CHECKING:`` in the source of a package, with the module it is of."""
    spec = package.__spec__
    assert spec is not None
    source = spec.loader.get_source(package.__name__)  # type: ignore[union-attr]
    guarded = [
        node
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in block.body
    ]
    return [
        (alias.name, resolve_name("." * node.level + (node.module or ""), package.__name__))
        for node in guarded
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
