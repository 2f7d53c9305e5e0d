"""``--cfg-options k=v ...``: config values on the command line, as mmdet's users write them."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Sequence
from typing import Any

OPTIONS_FLAG = "--cfg-options"


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``k=v`` pairs as mmdet does: ``a.b=1``, ``a=x,y`` or ``a=[x,y]``; else a value is text.

    Raises:
        ConfigError: if a pair has no ``=``.
    """
    from detkds_gp.errors import ConfigError

    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"{OPTIONS_FLAG} got {pair!r}, wanted key=value")
        options[key] = _value(value)
    return options


def _value(text: str) -> object:
    """Return a Python literal, a list of what stands between commas (formulas are left whole), or text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        inner = text[1:-1] if text[:1] + text[-1:] in ("[]", "()") else text
    if "(" in inner or (inner == text and "," not in text):
        return text
    return [_value(part.strip()) for part in inner.split(",")]


def spread_options(arguments: Sequence[str]) -> list[str]:
    """Repeat ``--cfg-options`` before each of its values: mmdet's users write ``--cfg-options a=1 b=2``."""
    spread: list[str] = []
    open_flag = False
    for argument in arguments:
        if argument == OPTIONS_FLAG:
            open_flag = True
        elif open_flag and "=" in argument and not argument.startswith("-"):
            spread += [OPTIONS_FLAG, argument]
        else:
            open_flag = False
            spread.append(argument)
    return spread
