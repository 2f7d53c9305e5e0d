"""The page docs/detectors.md, made of the rows of `families.py`."""

from __future__ import annotations

from typing import Any


def page(rows: dict[str, Any]) -> str:
    """Return the page in Markdown."""
    return ""
