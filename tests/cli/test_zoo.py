"""`gp_search zoo`, and searches that start from published distillers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from detkds_gp.primitives import DETKDS
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.run import Outcome
from detkds_gp.store import Store

from .conftest import GpSearch


def test_the_zoo_is_listed(gp_search: GpSearch) -> None:
    ended = gp_search("zoo")
    assert ended.code == 0, ended.err
    for entry in ZOO.named.values():
        assert f"{entry.name}: {entry.formula}" in ended.out
    rows = json.loads(gp_search("zoo", "--json").out)
    assert [row["name"] for row in rows] == list(ZOO.named)
    assert all(row["reason"] == "" and row["here"] == {} for row in rows)


def test_what_only_a_pair_heeds_is_refused_without_one(gp_search: GpSearch) -> None:
    for options in (["--cfg-options", "a=1"], ["--random-weights"]):
        ended = gp_search("zoo", *options)
        assert (ended.code, ended.out) == (2, "")
        assert "are for a config's pair; name the config" in ended.err


def test_names_of_the_zoo_do_wherever_a_formula_does(gp_search: GpSearch) -> None:
    assert gp_search("export", "pkd").out.strip() == ZOO["pkd"].formula
    assert "masked_generation(global, 0.35)" in gp_search("lint", "mgd").out
    assert gp_search("lint", "mgd").code == 0


OWN = """
from detkds_gp.language import Published, Zoo

MINE = Zoo(Published("ours", "1 * 2 * l2(unit_channel(global))", "unpublished", "2, a mean over levels"))
"""


def test_names_of_ones_own_zoo_do_too(
    gp_search: GpSearch, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo_of_ours.py").write_text(OWN)
    (tmp_path / "search.py").write_text(f'_base_ = "{tiny_config}"\nzoo = "zoo_of_ours:MINE"\n')
    monkeypatch.chdir(tmp_path)
    ended = gp_search("lint", "ours", "--config", "search.py")
    assert ended.code == 0, ended.err
    assert "l2(unit_channel(global))" in ended.out
    assert gp_search("export", "ours", "--zoo", "zoo_of_ours:MINE").out == "1 * 2 * l2(unit_channel(global))\n"
    assert gp_search("export", "pkd", "--zoo", "zoo_of_ours:MINE").code == 2


def test_with_a_config_it_says_what_applies_and_what_the_weights_come_to(
    gp_search: GpSearch, tiny_config: Path
) -> None:
    ended = gp_search("zoo", tiny_config)
    assert ended.code == 0, ended.err
    assert "ld does not apply: the pair does not share 'box_bins': " in ended.out
    assert "pkd_two_stage does not apply: its weights are for two-stage detectors" in ended.out
    assert "foreground_background" in ended.out


@pytest.mark.slow
def test_a_search_starts_from_the_zoo_and_repeats(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    seeded = tmp_path / "run"
    fast = ("knowledge=['global']", "search.conquer.generations=0", "search.conquer.population=1", "verdict.rivals={}")
    command = ("run", tiny_config, "--work-dir", seeded, "--executor", "serial", "--quiet", "--cfg-options", *fast)
    command += ("--warm-start",)
    ended = gp_search(*command, "mgd", "--warm-start", "cwd")
    assert ended.code == 0, ended.err
    with Store.open(seeded, readonly=True) as store:
        first = [birth.text for birth in store.births() if (birth.stage, birth.generation) == ("divide", 0)]
        scores = len(store.scores())
        trees = [term.formula for name in ("mgd", "cwd") for term in ZOO[name].distiller(DETKDS).terms]
        scales = {tree: store.scale(tree).value for tree in trees}
        assert store.fingerprint()["config"]["search"]["warm_start"] == [ZOO[name].formula for name in ("mgd", "cwd")]
    for name in ("mgd", "cwd"):
        (term,) = ZOO[name].distiller(DETKDS).terms
        weights = [text.split(" * ")[0] for text in first if text.endswith(f" * calibrated * {term.formula}")]
        assert weights[0] == f"{float(f'{term.weight * term.scale / scales[term.formula]:.2g}'):g}"
        assert weights[1:] in (["1"], [])  # one candidate where the paper's weight is next to 1
    assert gp_search("verify", seeded).code == 0
    again = gp_search(*command, "mgd", "--warm-start", "cwd")
    assert (again.code, again.out) == (0, ended.out)
    with Store.open(seeded, readonly=True) as store:
        assert len(store.scores()) == scores
    other = gp_search(*command, "mgd")
    assert other.code == 2
    assert "warm_start" in other.err


@pytest.mark.slow
def test_a_search_starts_from_another_run(
    gp_search: GpSearch, tiny_config: Path, finished: Outcome, tmp_path: Path
) -> None:
    file = tmp_path / "other.json"
    shutil.copy(finished.work_dir / "distiller.json", file)
    fast = ("search.divide.generations=0", "search.conquer.generations=0", "search.conquer.population=1")
    command = ("run", tiny_config, "--work-dir", tmp_path / "run", "--executor", "serial", "--quiet")
    ended = gp_search(*command, "--warm-start", file, "--cfg-options", *fast)
    assert ended.code == 0, ended.err
    with Store.open(tmp_path / "run", readonly=True) as store:
        births = {birth.text for birth in store.births() if birth.stage == "divide"}
    assert {f"1 * calibrated * {term.formula}" for term in finished.best.terms} <= births
    assert gp_search(*command[:2], "--warm-start", "mdg").code == 2
    file.unlink()
    again = gp_search(*command, "--warm-start", file, "--cfg-options", *fast)
    assert (again.code, again.out) == (0, ended.out)
