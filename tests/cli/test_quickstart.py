"""`gp_search quickstart`: the embedded config from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import GpSearch

SMALL = (
    "data.digits.train=12", "data.digits.selection=6", "data.digits.test=6", "data.digits.size=64",
    "teacher.train.iterations=3", "proxy.iterations=2", "proxy.image_size=64,64", "proxy.warmup=1",
    "proxy.calibration_iterations=1", "execution.executor=serial", "knowledge=('global',)",
    "search.conquer.population=2", "search.conquer.offspring=1", "verdict.iterations=2", "verdict.seeds=11,12",
    "require_better_teacher=False", "cache_dir=cache",
)  # fmt: skip


@pytest.mark.slow
def test_it_runs_in_an_empty_folder_and_continues_there(
    gp_search: GpSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = gp_search("quickstart", "--quiet", "--cfg-options", *SMALL)
    assert ended.code == 0, ended.err
    assert (tmp_path / "work_dirs/quickstart/report.html").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"work_dirs", "cache"}
    again = gp_search("quickstart", "--quiet", "--cfg-options", *SMALL)
    assert (again.code, again.out) == (0, ended.out)


def test_its_options_are_those_of_run(gp_search: GpSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = gp_search("quickstart", "--cfg-options", "proxy.iteration=3")
    assert ended.code == 2
    assert "unknown key 'proxy.iteration'; did you mean 'iterations'" in ended.err
    assert list(tmp_path.iterdir()) == []
