"""Numbers and flags as exporters write them: text, null and true among them."""

from __future__ import annotations

import math
from typing import Any

FLAGS = {"": 0, "0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1}


def real_number(value: Any) -> float | None:
    """Return a finite number, of text too; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def whole_number(value: Any) -> int | None:
    """Return a whole number, of text and of floats without a fraction too; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    number = real_number(value)
    return int(number) if number is not None and number.is_integer() else None


def flag(value: Any) -> bool | None:
    """Return what a flag says, null as false; None for what says neither."""
    if value is None:
        return False
    if isinstance(value, str):
        known = FLAGS.get(value.strip().lower())
        return None if known is None else bool(known)
    number = float(value) if isinstance(value, bool) else real_number(value)
    return None if number is None else number != 0
