"""What a config names as ``module:NAME``: primitive sets and zoos."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from detkds_gp.errors import DeclarationError, nearest


def load_named(reference: str, kind: type[Any], key: str) -> Any:
    """Import what is named ``module:NAME``; modules of the current directory are found too.

    Args:
        reference: the name.
        kind: what it has to be.
        key: of the config, for messages.

    Raises:
        DeclarationError: if the module or the name does not exist, or is of another kind.
    """
    module_name, _, name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise DeclarationError(f"{key} is {reference!r}, wanted module:NAME")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = import_module(module_name)
    except ImportError as error:
        remedy = "give module:NAME, importable from here"
        raise DeclarationError(f"{key} {reference!r}: {error}; {remedy}") from error
    except DeclarationError:
        raise
    except Exception as error:
        got = f"{module_name!r} does not import, {type(error).__name__}: {error}"
        raise DeclarationError(f"{key} {reference!r}: {got}; mend the file") from error
    found = getattr(module, name, None)
    if not isinstance(found, kind):
        known = [other for other, value in vars(module).items() if isinstance(value, kind)]
        got = f"{module_name!r} has no {key.replace('primitive_', '')} {name!r}"
        raise DeclarationError(f"{key} {reference!r}: {got}{nearest(name, known)}")
    return found
