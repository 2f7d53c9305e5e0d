"""`gp_search proxy`: real trainings, ranked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detkds_gp.cli.proxy import PLOT, TABLE
from detkds_gp.ranking import Table, Way

from .conftest import GpSearch


@pytest.mark.slow
def test_budgets_are_ranked_against_the_longest_on_another_seed(
    gp_search: GpSearch, tiny_config: Path, tmp_path: Path
) -> None:
    asked = ("--formulas", "5", "--iterations", "1,2", "--averages", "0.9,0", "--work-dir", str(tmp_path))
    ended = gp_search("proxy", str(tiny_config), *asked)
    assert ended.code == 0, ended.err
    assert "against 2 iterations (config, averaged 0.9), another seed" in " ".join(ended.out.split())
    table = Table.read(tmp_path / TABLE)
    averaged, last = Way("config", 0.0, 0.9), Way("config", 0.0, 0.0)
    assert len(table.aps(averaged, 1)) == len(table.truth(averaged, 2)[0]) == 6
    assert table.truth(averaged, 2) != (table.aps(averaged, 2), 1)
    assert table.aps(averaged, 1) == table.aps(last, 1)  # the average of one step is its weights
    assert table.aps(averaged, 2) != table.aps(last, 2)
    assert (tmp_path / PLOT).read_bytes()[:4] == b"\x89PNG"
    assert gp_search("proxy", str(tiny_config), *asked, "--quiet").out.strip() in ended.out
    assert json.loads((tmp_path / TABLE).read_text())["metric"] == "bbox"


def test_budgets_that_are_no_numbers_are_named(gp_search: GpSearch, tiny_config: Path) -> None:
    ended = gp_search("proxy", str(tiny_config), "--iterations", "1,two")
    assert ended.code == 2
    assert "--iterations is '1,two', wanted numbers and commas" in ended.err
