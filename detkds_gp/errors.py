"""The errors a user can mend; the command line prints them as one line and exits with 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

SHOWN = 30
"""Known names that a message lists at most."""


class UserError(Exception):
    """A mistake in what the user gave: says got, wanted and remedy in one line."""


class FormulaError(UserError):
    """A formula that cannot be read or does not fit its kinds.

    Args:
        message: what is wrong and what would be right.
        text: the formula, if it came as text.
        position: 0-based offset of the fault in ``text``.
    """

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        self.position = position
        self.text = text
        where = "" if position is None else f" (at position {position}: {text[position : position + 24]!r})"
        super().__init__(message + where)


class DeclarationError(UserError):
    """A primitive or a primitive set that breaks its own contract."""


class ConfigError(UserError):
    """A config that is broken, unknown or does not fit the data."""


class BudgetError(ConfigError):
    """A budget that does not hold the least that a run has to do."""


class DataError(UserError):
    """Images or annotations that are missing, empty or contradictory."""


class DetectorError(UserError):
    """A detector that cannot be built, or a pair that cannot be distilled."""


class StoreError(UserError):
    """A work directory or store that cannot be used as asked."""


def listed(names: Sequence[str], shown: int = 8) -> str:
    """Return ``[a, b, ...]``: the first of some names in their order, and how many there are in all."""
    more = f" ... ({len(names)} in all)" if len(names) > shown else ""
    return "[" + ", ".join(names[:shown]) + more + "]"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'a' or 'b'?`` for the known names nearest to ``name``, or the first SHOWN of the list."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "; did you mean " + " or ".join(repr(c) for c in close) + "?"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; known: " + ", ".join(names[:SHOWN]) + more


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message; its kind where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def named_line(error: BaseException) -> str:
    """Return ``Kind: first line of the message``."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {' '.join(lines[0].split())}" if lines else type(error).__name__
