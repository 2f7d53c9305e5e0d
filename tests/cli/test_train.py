"""`gp_search train`: what it takes for a distiller, and where it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import GpSearch

LONG = "1 * 0.5 * l2(" + "unit_channel(" * 40 + "global" + ")" * 41
QUICK = ("--cfg-options", "full_training.batch_size=4", "full_training.workers=0")


@pytest.mark.slow
def test_a_long_formula_trains_into_a_folder_of_a_short_name(
    gp_search: GpSearch, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = gp_search("train", tiny_config, "--distiller", LONG, "--iterations", 2, *QUICK)
    assert ended.code == 0, ended.err
    page = Path("work_dirs") / "tiny-train" / "trainings.html"
    assert f"all of them: {page}" in ended.out
    assert page.is_file()
    (folder,) = (path for path in (tmp_path / "work_dirs" / "tiny-train").iterdir() if path.is_dir())
    assert folder.name.startswith("formula-")
    assert len(folder.name) < 20
    told = json.loads((folder / "result.json").read_text())
    assert (told["distiller"], f"{told['distiller']}-{told['seed']}") == (folder.name[:-2], folder.name)
    assert told["formula"].startswith("1 * 0.5 * l2(unit_channel(")


@pytest.mark.parametrize(
    ("distiller", "said"),
    [
        ("zoo", "got 'zoo', neither the name of a published distiller"),
        ("", "got '', neither the name of a published distiller"),
        ("pdk", "did you mean 'pkd'?"),
        ("pkd_two_stage", "its weights are for two-stage detectors; of the zoo, mimic, pkd, cwd"),
    ],
)
def test_what_it_cannot_train_is_told_in_one_line(
    distiller: str, said: str, gp_search: GpSearch, tiny_config: Path, tmp_path: Path
) -> None:
    ended = gp_search("train", tiny_config, "--distiller", distiller, "--work-dir", tmp_path / "x", *QUICK)
    assert ended.code == 2
    assert said in ended.err
    assert f"did you mean {distiller!r}" not in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_no_generator_takes_are_refused(seed: int, gp_search: GpSearch, tiny_config: Path) -> None:
    ended = gp_search("train", tiny_config, "--distiller", "none", "--seed", seed)
    assert ended.code == 2
    assert "Invalid value for '--seed'" in ended.err
    assert "Traceback" not in ended.err
