"""An executor of a user's own, in one file outside the package, carries a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detkds_gp.errors import DeclarationError
from detkds_gp.evaluation import executor_class
from detkds_gp.run.verify import verify
from detkds_gp.store import Store

from ..scripts import benchmark

analytic = benchmark("analytic")
OWN = "tests.execution.own_executor:Threads"


def run(work_dir: Path, **execution: Any) -> None:
    analytic.make_experiment(work_dir, analytic.Analytic(0.0), execution=execution).run()


def test_a_run_on_it_finds_what_every_other_finds(tmp_path: Path) -> None:
    run(tmp_path / "own", executor=OWN, workers=3)
    run(tmp_path / "serial", executor="serial")
    assert analytic.history(tmp_path / "own") == analytic.history(tmp_path / "serial")
    assert verify(tmp_path / "own").differences == ()
    with Store.open(tmp_path / "own", readonly=True) as store:
        (started, *_) = store.events("started")
    assert (started.detail["executor"], started.detail["workers"]) == (OWN, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tests.execution.own_executor:Thread", "did you mean 'Threads'"),
        ("tests.execution.own_executor:NoExecutor", "has no made, begin, wait, drain, close, one_at_a_time"),
        ("tests.execution.no_such_file:Threads", "give module:NAME, importable from here"),
    ],
)
def test_what_is_no_executor_is_refused(name: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        executor_class(name)
