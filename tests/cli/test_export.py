"""What `gp_search export` takes and writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from detkds_gp.export import FORMATS
from detkds_gp.run import Outcome

from .conftest import FORMULA, GpSearch, mistake

STARTS = {"json": b"{", "latex": b"\\", "dot": b"digraph", "svg": b"<", "png": b"\x89PNG", "python": b'r"""'}


@pytest.mark.parametrize("fmt", FORMATS)
def test_export_writes_every_format(fmt: str, gp_search: GpSearch, finished: Outcome, tmp_path: Path) -> None:
    for source in (finished.work_dir, finished.best.text):
        path = tmp_path / f"out.{fmt}"
        command = ["export", source, "--to", fmt, "--set", "detkds_gp.primitives:DETKDS"]
        ended = gp_search(*command, "-o", path)
        assert ended.code == 0, ended.err
        content = path.read_bytes()
        start = STARTS.get(fmt, finished.best.text.encode())
        assert content.lstrip().startswith(start) or fmt == "latex"
        if fmt != "png":
            assert gp_search(*command).out.strip() == content.decode().strip()
        path.unlink()


def test_export_knows_ranks_and_formulas(gp_search: GpSearch, finished: Outcome) -> None:
    assert gp_search("export", finished.work_dir).out == finished.best.text + "\n"
    second = gp_search("export", finished.work_dir, "--rank", "2").out.strip()
    assert second != finished.best.text
    assert gp_search("export", FORMULA).out.strip() == FORMULA
    long = "l2(" + "unit_channel(" * 30 + "global" + ")" * 31
    assert len(long) > 255
    assert gp_search("export", long).code == 0
    values = json.loads(gp_search("export", FORMULA, "--to", "json").out)
    assert values["formula"] == FORMULA


def test_export_reads_the_json_that_it_writes(gp_search: GpSearch, finished: Outcome, tmp_path: Path) -> None:
    one, several = tmp_path / "one.json", tmp_path / "several.json"
    assert gp_search("export", finished.work_dir, "--to", "json", "-o", one).code == 0
    assert gp_search("export", one).out == finished.best.text + "\n"
    searched = ("--set", "detkds_gp.primitives:DETKDS")  # the run's own, whose kinds of nodes the file tells
    assert gp_search("export", one, "--to", "json", *searched).out == one.read_text()
    assert gp_search("export", one, "pkd", FORMULA, "--to", "json", "-o", several).code == 0
    wanted = gp_search("export", finished.work_dir, "pkd", FORMULA).out
    assert gp_search("export", several).out == wanted
    assert gp_search("export", finished.work_dir / "distiller.json", "none").out == f"{finished.best.text}\nnone\n"


def test_export_draws_several_side_by_side(gp_search: GpSearch, finished: Outcome) -> None:
    def nodes(svg: str) -> list[str]:
        return re.findall(r'<g class="node" data-panel="(\d+)"', svg)

    ended = gp_search("export", finished.work_dir, "l2(global)", "--rank", "1", "--rank", "2", "--to", "svg")
    assert sorted(set(nodes(ended.out))) == ["0", "1", "2"]
    assert f"{finished.work_dir.name}, rank 2: AP 0." in ended.out
    diff = gp_search("export", "l2(global)", "l1(global)", "--to", "svg", "--diff", "--theme", "dark")
    assert re.findall(r'data-label="(\w+)" data-family="distance" data-only="(.)"', diff.out) == [
        ("l2", "−"),
        ("l1", "+"),
    ]
    assert "#14181e" in diff.out
    assert gp_search("export", "l2(global)", "none").out == "1 * 1 * l2(global)\nnone\n"


def test_export_says_mistakes_in_one_line(gp_search: GpSearch, finished: Outcome, tmp_path: Path) -> None:
    work_dir = finished.work_dir
    assert "--rank 99: the run has" in mistake(gp_search("export", work_dir, "--rank", "99"))
    assert "wanted one of json, text" in mistake(gp_search("export", work_dir, "--to", "pdf"))
    assert "binary; give a file with -o" in mistake(gp_search("export", work_dir, "--to", "png"))
    missing = tmp_path / "no" / "x.json"
    assert "cannot write" in mistake(gp_search("export", work_dir, "-o", missing))
    assert "nor a work directory, nor a formula" in mistake(gp_search("export", tmp_path / "typo"))
    assert "holds no store.sqlite" in mistake(gp_search("export", tmp_path))
    assert "did you mean 'pkd'" in mistake(gp_search("export", "pdk"))
    assert "--rank is of a work directory, got 'pkd', 'cwd'" in mistake(gp_search("export", "pkd", "cwd", "--rank", 1))
    assert "position" in mistake(gp_search("export", "l2(globe)"))
    assert "wanted 2 for a diff" in mistake(gp_search("export", "l2(global)", "--diff", "--to", "svg"))
    assert "wanted one of light, dark, auto" in mistake(gp_search("export", "l2(global)", "--theme", "blue"))
    assert "wanted one of layered, graphviz" in mistake(gp_search("export", "l2(global)", "--layout", "neat"))
