"""What the documents point to is there, and nothing in them is still to be filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/guides", "primitives", "configs", "benchmarks")
    for path in (ROOT / folder).glob("*.md")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_nothing_is_left_open(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert re.findall(r"@[A-Z]+@|TODO|TBD", text) == []
