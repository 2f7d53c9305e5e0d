"""What a search is, as text that can be compared."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


_ABSENT = _Absent()
_SHOWN = 12
ROUNDING = 1e-4
"""Of an AP: what the belief expects differs in its last digits between processors."""

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


def to_json(value: Any) -> str:
    """Return the value's one JSON text: equal values give equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def brief(value: Any) -> str:
    """Return a repr of at most a few dozen characters."""
    return _brief.repr(value)


def differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """List what differs as ``search.seed: 1 -> 2; ...`` in the order of keys; "" if nothing."""
    rows = sorted(differing(recorded, asked, _ABSENT), key=itemgetter(0))
    found = [f"{key}: {brief(a)} -> {brief(b)}" for key, a, b in rows]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join(found[:_SHOWN] + more)


def differing(
    recorded: Any, asked: Any, absent: Any = None, key: str = "", tolerance: float = 0.0
) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs in nested JSON values, by dotted key: what is asked in its order, then what else was recorded.

    ``absent`` stands for the value of a key that one side lacks. Lists of one length are compared item by item.
    Floating-point numbers may differ by ``tolerance``.
    """
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        names = dict.fromkeys([*asked, *recorded])
        pairs = {str(name): (recorded.get(name, absent), asked.get(name, absent)) for name in names}
    elif isinstance(recorded, list) and isinstance(asked, list) and len(recorded) == len(asked):
        pairs = {str(index): pair for index, pair in enumerate(zip(recorded, asked, strict=True))}
    else:
        close = isinstance(recorded, float) and isinstance(asked, float) and abs(recorded - asked) <= tolerance
        if recorded != asked and not close:
            yield key, recorded, asked
        return
    for name, (before, now) in pairs.items():
        yield from differing(before, now, absent, f"{key}.{name}" if key else name, tolerance)
