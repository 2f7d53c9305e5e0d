"""What the documents point to is there, nothing in them is still to be filled in, and the site has all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from .documents import PAGES, ROOT, anchors, links, named

SITE = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere_and_nothing_is_left_open(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    assert re.findall(r"@[A-Z]+@|TODO|TBD", page.read_text()) == []


def test_every_page_has_a_place_on_the_site() -> None:
    hooks = (ROOT / "tools/site/hooks.py").read_text(encoding="utf-8")
    brought = dict(re.findall(r'"([\w/]+\.md)": "(\w+\.md)"', hooks))
    shown = set(re.findall(r": ([\w/]+\.md)$", SITE, re.MULTILINE))
    wanted = {brought.get(path, path.removeprefix("docs/")) for path in map(named, PAGES)}
    assert shown == wanted


def test_the_site_asks_no_other_host() -> None:
    theme = yaml.safe_load(SITE)["theme"]
    assert theme["font"] is False
    files = [ROOT / "mkdocs.yml", *(path for path in (ROOT / "tools/site").rglob("*.*") if path.suffix != ".pyc")]
    assert [path for path in files if "//" in path.read_text(encoding="utf-8").replace("// ", "")] == []
