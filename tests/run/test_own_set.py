"""Runs with primitives of one's own: good ones, and ones that hang, die or break."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.errors import StoreError
from detkds_gp.results import opened
from detkds_gp.run import Experiment
from detkds_gp.screening import CHECK_NAMES
from detkds_gp.store import Store

from .runs import LOCAL

OWN_SET = '''
import os, signal, time
import torch
from detkds_gp.language import Loss, Map, PrimitiveSet, distance
from detkds_gp.primitives.inputs import global_

def mean(x):
    """0 of no numbers: a batch without objects gives empty maps."""
    return x.sum() / max(1, x.numel())

@distance(Map, latex="q(#1)")
def quartic(student, teacher):
    """Return the mean fourth power of the difference, ()."""
    return mean((student - teacher).pow(4))

@distance(Map, latex="s(#1)")
def sleepy(student, teacher):
    """Return the mean square, (), after a nap on the teacher's 16 channels."""
    time.sleep(60 * (student.shape[1] == 16))
    return mean((student - teacher).pow(2))

@distance(Map, latex="d(#1)")
def deadly(student, teacher):
    """Return the mean square, (), unless on the teacher's 16 channels."""
    if student.shape[1] == 16:
        os.kill(os.getpid(), signal.SIGKILL)
    return mean((student - teacher).pow(2))

@distance(Map, latex="b(#1)")
def broken(student, teacher):
    """Return the mean square, (), unless on the teacher's 16 channels."""
    return mean((student - teacher).pow(2)) if student.shape[1] != 16 else student @ torch.ones(3, 7)

GOOD = PrimitiveSet("GOOD", [global_, quartic])
FAULTY = PrimitiveSet("FAULTY", [global_, quartic, sleepy, deadly, broken])
'''

SCRIPT = """
from own_set import GOOD
from detkds_gp.run import Experiment
if __name__ == "__main__":
    outcome = Experiment.from_config({config!r}, "own", primitive_set=GOOD, knowledge=("global",)).run()
    print(outcome.best.text)
"""


@pytest.mark.slow
def test_a_set_of_ones_own_in_five_lines_of_python(tiny_config: Path, tmp_path: Path) -> None:
    (tmp_path / "own_set.py").write_text(OWN_SET)
    (tmp_path / "five.py").write_text(SCRIPT.format(config=str(tiny_config)))
    ended = subprocess.run([sys.executable, "five.py"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip().endswith("* quartic(global)")
    with opened(tmp_path / "own") as summary:  # by the grammar that the run has left: the set cannot be imported here
        assert any(ranked.distiller.text.endswith("* quartic(global)") for ranked in summary.ranking())
    (tmp_path / "own" / "grammar.json").unlink()
    another = pytest.raises(StoreError, match="searched with another set .* --set module:NAME")
    with another, opened(tmp_path / "own") as summary:
        summary.ranking()


NAMES = ("sleepy", "deadly", "broken", "quartic")
FORMULAS = tuple(f"{name}(global)" for name in NAMES)
FAULTY = {
    **LOCAL,
    "execution.time_limit_seconds": 6,
    "knowledge": ("global",),
    "search.divide.population": 4,
    "search.divide.generations": 0,
    "search.conquer.generations": 0,
    "search.warm_start": FORMULAS,
}


@pytest.fixture
def faulty(tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run the tiny experiment in this process with the faulty set, its students in two others; return its folder."""
    (tmp_path / "own_set.py").write_text(OWN_SET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_set", raising=False)

    def run(**options: Any) -> Path:
        folder = tmp_path / "faulty"
        Experiment.from_config(tiny_config, folder, "own_set:FAULTY", **FAULTY, **options).run()
        monkeypatch.delitem(sys.modules, "own_set")
        return folder

    return run


@pytest.mark.slow
def test_limits_and_faults_cost_one_candidate_each(faulty: Callable[..., Path]) -> None:
    with Store.open(faulty(), readonly=True) as store:
        screened = {record.tree: record.screening for record in store.screenings()}
        trained = {record.trial.distiller.split("* ")[-1] for record in store.scores()}
    assert [screened[formula].failure for formula in FORMULAS] == ["timeout", "worker_lost", "shape", None]
    assert "within 6 s" in screened[FORMULAS[0]].detail
    assert "SIGKILL" in screened[FORMULAS[1]].detail
    assert trained & set(FORMULAS) == {"quartic(global)"}


@pytest.mark.slow
def test_limits_and_faults_of_formulas_that_nobody_screened(faulty: Callable[..., Path]) -> None:
    folder = faulty(**{"screening.identity": False, "screening.off": tuple(CHECK_NAMES)})
    with Store.open(folder, readonly=True) as store:
        scores = {record.trial.distiller.split("* ")[-1]: record.score for record in store.scores()}
    assert [scores[formula].failure for formula in FORMULAS] == ["timeout", "worker_lost", "shape", None]
