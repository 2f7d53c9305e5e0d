"""Runs with primitives of one's own: good ones, and ones that hang, die or break."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from detkds_gp.errors import StoreError
from detkds_gp.results import opened
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


FAULTY = {
    **LOCAL,
    "execution.time_limit_seconds": 6,
    "primitive_set": "own_set:FAULTY",
    "knowledge": "['global']",
    "search.divide.population": 4,
    "search.divide.generations": 0,
    "search.conquer.generations": 0,
}


def listed(formulas: list[str]) -> str:
    return repr(formulas).replace(" ", "")


@pytest.mark.slow
def test_limits_and_faults_cost_one_candidate_each(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "own_set.py").write_text(OWN_SET)
    formulas = [f"{name}(global)" for name in ("sleepy", "deadly", "broken", "quartic")]
    process = start(tmp_path / "faulty", {**FAULTY, "search.warm_start": listed(formulas)})
    _, complaint = process.communicate(timeout=300)
    assert process.returncode == 0, complaint
    with Store.open(tmp_path / "faulty", readonly=True) as store:
        screened = {record.tree: record.screening for record in store.screenings()}
        trained = {record.trial.distiller.split("* ")[-1] for record in store.scores()}
    assert [screened[formula].failure for formula in formulas] == ["timeout", "worker_lost", "shape", None]
    assert "within 6 s" in screened[formulas[0]].detail
    assert "SIGKILL" in screened[formulas[1]].detail
    assert trained & set(formulas) == {"quartic(global)"}


@pytest.mark.slow
def test_limits_and_faults_of_formulas_that_nobody_screened(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "own_set.py").write_text(OWN_SET)
    formulas = [f"{name}(global)" for name in ("sleepy", "deadly", "broken", "quartic")]
    unscreened = {"screening.identity": False, "screening.off": repr(list(CHECK_NAMES)).replace(" ", "")}
    process = start(tmp_path / "faulty", {**FAULTY, **unscreened, "search.warm_start": listed(formulas)})
    _, complaint = process.communicate(timeout=300)
    assert process.returncode == 0, complaint
    with Store.open(tmp_path / "faulty", readonly=True) as store:
        scores = {record.trial.distiller.split("* ")[-1]: record.score for record in store.scores()}
    assert [scores[formula].failure for formula in formulas] == ["timeout", "worker_lost", "shape", None]
