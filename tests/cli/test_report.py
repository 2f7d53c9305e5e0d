from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GpSearch = Callable[..., Any]


def test_a_report_is_written_where_it_is_said(gp_search: GpSearch, copied: Path, tmp_path: Path) -> None:
    ended = gp_search("report", copied)
    assert (ended.code, ended.out) == (0, f"{copied / 'report.html'}\n")
    page = (copied / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert len(page) < 6e6
    assert page.index("train: 12 images, the median 64x64 pixels") < page.index('id="search"')  # at its head
    assert "Data: 0 warnings" in page
    elsewhere = tmp_path / "elsewhere.html"
    assert gp_search("report", copied, "-o", elsewhere).out == f"{elsewhere}\n"
    assert elsewhere.is_file()


def test_another_grammar_is_said(gp_search: GpSearch, copied: Path) -> None:
    ended = gp_search("report", copied, "--set", "tests.cli.nowhere:SET")
    assert ended.code == 2
    assert "nowhere" in ended.err


@pytest.mark.parametrize("command", ["report", "dash", "explain"])
def test_a_directory_without_a_store_is_said(gp_search: GpSearch, tmp_path: Path, command: str) -> None:
    ended = gp_search(command, tmp_path)
    assert ended.code == 2
    assert "run a search" in ended.err


def test_a_path_that_cannot_be_written_is_said(gp_search: GpSearch, copied: Path) -> None:
    ended = gp_search("report", copied, "-o", copied / "missing" / "report.html")
    assert ended.code == 2
    assert "cannot write" in ended.err


def test_runs_are_compared(gp_search: GpSearch, copied: Path, tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    assert gp_search("compare", copied, copied, "-o", page).code == 0
    assert "2 runs side by side" in page.read_text(encoding="utf-8")
    assert "wanted 2 or more" in gp_search("compare", copied, "-o", page).err


def test_a_winner_is_explained(gp_search: GpSearch, copied: Path) -> None:
    ended = gp_search("explain", copied, "--evaluations", 2, "--quiet")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("2 trainings")
    assert "report.html" in ended.out
    assert "What the three detectors find" in (copied / "report.html").read_text(encoding="utf-8")
