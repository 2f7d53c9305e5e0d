"""What a search is, as text that can be compared."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

_ABSENT = object()
_SHOWN = 12

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


def to_json(value: Any) -> str:
    """Return the value's one JSON text: equal values give equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def brief(value: Any) -> str:
    """Return a repr of at most a few dozen characters."""
    return "(absent)" if value is _ABSENT else _brief.repr(value)


def differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """List what differs as ``search.seed: 1 -> 2; ...`` in the order of keys; "" if nothing."""
    found = [f"{key}: {brief(a)} -> {brief(b)}" for key, a, b in _walk(recorded, asked, "")]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join(found[:_SHOWN] + more)


def _walk(recorded: Any, asked: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for name in sorted(recorded.keys() | asked.keys()):
            dotted = f"{key}.{name}" if key else name
            yield from _walk(recorded.get(name, _ABSENT), asked.get(name, _ABSENT), dotted)
    elif recorded != asked:
        yield key, recorded, asked
