"""`gp_search tune` on the tiny pair, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.store import Store

from .conftest import GpSearch

SERIAL = ("--cfg-options", "execution.executor=serial")


@pytest.mark.slow
def test_a_published_weight_is_tuned_told_and_repeated(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    command = ("tune", tiny_config, "--distiller", "pkd", "--budget", "5", "--work-dir", tmp_path / "pkd", *SERIAL)
    ended = gp_search(*command, "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["trainings"] == 5
    assert [point["weight"] for point in told["curve"]] == sorted({point["weight"] for point in told["curve"]})
    assert sum(point["measured"] is not None for point in told["curve"]) == 5
    assert {"weight", "ap", "low", "high"} < set(told["curve"][0])
    assert all(point["low"] <= point["ap"] <= point["high"] for point in told["curve"])
    (term,) = parse_distiller(told["distiller"], OMNI).terms
    (published,) = ZOO["pkd"].distiller(OMNI).terms
    assert term.formula == published.formula
    assert term.weight == told["weight"]
    assert told["coefficients"] == {"global": pytest.approx(term.weight * term.scale, rel=5e-3)}
    assert told["given"] == pytest.approx(published.scale / term.scale, rel=6e-3)
    assert told["given"] in [point["weight"] for point in told["curve"]]
    with Store.open(tmp_path / "pkd", readonly=True) as store:
        scores = len(store.scores())
    again = gp_search(*command, "--json")
    assert json.loads(again.out) == told
    with Store.open(tmp_path / "pkd", readonly=True) as store:
        assert len(store.scores()) == scores
    best = next(point for point in told["curve"] if point["weight"] == told["weight"])
    assert told["helps"] == (best["low"] > told["alone"])
    table = gp_search(*command, "--quiet")
    assert table.code == 0, table.err
    assert ("at no weight is it told from the student alone" in table.out) == (not told["helps"])
    assert "as given" in table.out
    assert f"--distiller '{told['distiller']}'" in table.out
    longer = gp_search(*command[:5], "6", *command[6:], "--json")
    assert json.loads(longer.out)["trainings"] == 6
    with Store.open(tmp_path / "pkd", readonly=True) as store:
        assert len(store.scores()) == scores + 1


@pytest.mark.parametrize(
    ("distiller", "budget", "said"),
    [
        ("none", "12", "wanted one with a weight to tune"),
        ("pkd", "2", "wanted 3 trainings or more"),
        ("pkd", "1gpuh", "wanted trainings (12) or wall time (20m)"),
        ("pkdd", "12", "did you mean 'pkd'"),
        ("pkd_two_stage", "12", "its weights are for two-stage detectors"),
    ],
)
def test_what_cannot_be_tuned_is_refused_at_once(
    distiller: str, budget: str, said: str, gp_search: GpSearch, tiny_config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "refused"
    ended = gp_search("tune", tiny_config, "--distiller", distiller, "--budget", budget, "--work-dir", folder, *SERIAL)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not (folder / "store.sqlite").exists()
