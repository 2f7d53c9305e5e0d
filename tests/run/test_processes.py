"""Runs in several processes: killed, interrupted or packed, they give what a run left alone gives."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.results import opened
from detkds_gp.run import Experiment, Outcome
from detkds_gp.run.verify import verify

from .runs import LOCAL, members, rows, untimed, wait_for


def killed(process: subprocess.Popen[str], work_dir: Path, answers: int) -> dict[Any, float]:
    """Kill a run once it has so many answers, and return these."""
    wait_for(lambda: len(rows(work_dir)) >= answers or process.poll() is not None, seconds=400)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return rows(work_dir)


@pytest.mark.slow
def test_rungs_a_half_trained_start_and_packs_give_what_a_killed_run_gives(
    tiny_config: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    options: dict[str, Any] = {"proxy.iterations": 4, "proxy.rungs": (2,), "verdict.rivals": {}}
    options |= {"proxy.start": "half_trained", "proxy.start_iterations": 2}
    Experiment.from_config(tiny_config, tmp_path / "whole", **options).run()
    Experiment.from_config(tiny_config, tmp_path / "packed", **options, **LOCAL, **{"execution.pack": 2}).run()
    total = len(rows(tmp_path / "whole"))
    for answers in (6, total // 2):
        process = start(tmp_path / "killed", {**options, **LOCAL})
        assert answers <= len(killed(process, tmp_path / "killed", answers)) < total
    Experiment.from_config(tiny_config, tmp_path / "killed", **options, **LOCAL).run()
    told = []
    for name in ("whole", "packed", "killed"):
        with opened(tmp_path / name) as summary:
            told.append(untimed(summary.to_json()))
        assert not (tmp_path / name / "rungs").exists()
    assert told[0]["counts"]["rejected"] > 0
    assert told[0] == told[1] == told[2]
    assert verify(tmp_path / "killed").differences == ()


@pytest.mark.slow
def test_killed_three_times_it_ends_as_one_process_never_killed(
    start: Callable[..., subprocess.Popen[str]],
    tiny_config: Path,
    finished: Outcome,
    tmp_path: Path,
) -> None:
    work_dir, wanted = tmp_path / "killed", rows(finished.work_dir)
    total, judging = len(wanted), sum(trial.test for trial in wanted)
    recorded: dict[Any, float] = {}
    moments = {2: "local", 8: "serial", total - judging // 2: "local"}  # while preparing, dividing, judging
    for answers, executor in moments.items():
        recorded |= killed(start(work_dir, {"execution.executor": executor, "execution.workers": 2}), work_dir, answers)
        assert answers <= len(recorded) < total
    outcome = Experiment.from_config(tiny_config, work_dir, **LOCAL).run()
    assert untimed(outcome.summary) == untimed(finished.summary)
    assert recorded.items() <= rows(work_dir).items()
    assert len(rows(work_dir)) == total


@pytest.mark.slow
def test_ctrl_c_ends_everything_and_says_how_to_go_on(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    # neither the teacher nor the grace period would end within the hour
    options = {"execution.workers": 1, "execution.grace_seconds": 3600, "teacher.train.iterations": 100000}
    process = start(tmp_path / "stopped", {**LOCAL, **options})
    wait_for(lambda: len(members(process.pid)) >= 3)  # with the worker and multiprocessing's tracker
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert f"gp_search run {process.args[2]} --work-dir {tmp_path / 'stopped'}" in said  # type: ignore[index]
    assert "Traceback" not in said
    wait_for(lambda: not members(process.pid), seconds=10)
