"""Verdicts of contracts: a primitive of a user's own is tried once for each version of its source.

The primitives that come with detkds_gp are tried by its tests. Any other is tried when it is first put into a set;
that it passed is noted in the user's cache directory, as an empty file named by a hash of its source and of what
tried it. Processes may write the same note at the same time, and without a directory to write in every process
tries again. ``gp_search lint`` and ``gp_search primitives --check`` always try.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

from detkds_gp.language.declarations import Absent, Declaration

OURS = __name__.partition(".")[0]
_passed: WeakSet[Callable[..., Any]] = WeakSet()


def ensure_contract(declaration: Declaration) -> None:
    """Try a primitive of the user's own, unless it passed before with this source.

    Raises:
        DeclarationError: if a shape, a value or a gradient breaks what its role promises.
    """
    function = declaration.function
    if not is_own(declaration) or not declaration.computes or function in _passed:
        return
    note = _note(function)
    if note is None or not note.exists():
        from detkds_gp.language.contract import check_contract

        check_contract(declaration)
        _write(note)
    _passed.add(function)


def is_own(declaration: Declaration) -> bool:
    """Tell whether a primitive is a user's own, and imported: it does not come with detkds_gp."""
    function = declaration.function
    return function.__module__.partition(".")[0] != OURS and not isinstance(function, Absent)


def verdict_folder() -> Path:
    """Return where passed contracts are noted: ``detkds_gp/contracts`` in the user's cache directory."""
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cached) / OURS / "contracts"


def _note(function: Callable[..., Any]) -> Path | None:
    """Return the file that says that a function passed; None where its source does not settle what it does."""
    module = sys.modules.get(function.__module__)
    if module is None or not function.__qualname__.isidentifier():  # made inside a function: it may depend on anything
        return None
    try:
        sources = [inspect.getsource(own) for own in _modules(module)]
        parts = [function.__qualname__, version("torch"), _checks(), *sources]
        return verdict_folder() / hashlib.sha256("\0".join(parts).encode()).hexdigest()
    except (OSError, TypeError, RuntimeError):  # no source, as at a prompt; no home directory
        return None


def _modules(first: ModuleType) -> Iterator[ModuleType]:
    """Yield a module and those in its folder that it takes something from, and they in turn."""
    folder = Path(first.__file__ or "").parent
    pending, seen = [first], {first.__name__}
    while pending:
        module = pending.pop(0)
        yield module
        for value in vars(module).copy().values():
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            other = sys.modules.get(name) if isinstance(name, str) else None
            if other is not None and other.__name__ not in seen and _lies_in(folder, other):
                seen.add(other.__name__)
                pending.append(other)


def _lies_in(folder: Path, module: ModuleType) -> bool:
    """Tell whether a module is one of the user's own in a folder; packages installed there are not."""
    file = Path(getattr(module, "__file__", None) or "")
    ours = module.__name__.partition(".")[0] == OURS
    own = folder in file.parents and "site-packages" not in (folder.name, *file.relative_to(folder).parts)
    return own and not ours


@cache
def _checks() -> str:
    """Return the source of what tries a primitive."""
    return "".join(
        Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in ("contract", "roles", "samples")
    )


def _write(note: Path | None) -> None:
    with suppress(OSError):
        if note is not None:
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
