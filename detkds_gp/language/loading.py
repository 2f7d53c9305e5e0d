"""What a config names as ``module:NAME``: primitive sets, zoos, strategies, executors."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
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


def load_class(name: str, known: Mapping[str, str], members: Sequence[str], key: str, protocol: str) -> Any:
    """Import a class that a config names.

    Args:
        name: one of ``known``, or ``module:NAME``.
        known: references by their short names.
        members: what the class has to have.
        key: of the config, for messages.
        protocol: what lists the members, for messages.

    Raises:
        DeclarationError: the name is unknown, or the class lacks a member.
    """
    found = load_named(known.get(name, name), type, key)
    missing = [member for member in members if not hasattr(found, member)]
    if missing:
        raise DeclarationError(f"{key} {name!r} has no {', '.join(missing)}; wanted what `{protocol}` lists")
    return found
