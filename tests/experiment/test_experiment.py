"""A tiny experiment, end to end: real detectors, real data, real worker processes."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.errors import DetectorError, StoreError
from detkds_gp.experiment import Experiment, Outcome
from detkds_gp.experiment.verify import verify
from detkds_gp.losses.screening import CHECK_NAMES
from detkds_gp.results import opened
from detkds_gp.store import Store

GP_SEARCH = str(Path(sys.executable).with_name("gp_search"))
LOCAL = {"execution.executor": "local", "execution.workers": 2}


def untimed(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in summary.items() if name != "wall_seconds"}


def rows(work_dir: Path) -> dict[Any, float]:
    """Return when each trial was recorded; nothing while there is no store."""
    try:
        with Store.open(work_dir, readonly=True) as store:
            return {record.trial: record.finished_at for record in store.scores()}
    except StoreError:
        return {}


@pytest.fixture
def copied(finished: Outcome, tmp_path: Path) -> Path:
    """A work directory in which the tiny experiment has finished."""
    return Path(shutil.copytree(finished.work_dir, tmp_path / "copied"))


@pytest.fixture
def start(tiny_config: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``gp_search run`` in a process group of its own, which ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(work_dir: Path, options: Mapping[str, Any] = LOCAL) -> subprocess.Popen[str]:
        command = [GP_SEARCH, "run", str(tiny_config), "--work-dir", str(work_dir)]
        command += ["--cfg-options", *(f"{key}={value}" for key, value in options.items())]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes))
        return started[-1]

    yield run
    for process in started:
        if members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def members(session: int) -> list[str]:
    """Return the process ids of a session that still run."""
    listed = subprocess.run(["ps", "-s", str(session), "-o", "pid=,stat="], capture_output=True, text=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if "Z" not in line]


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_the_leader_has_the_highest_ap_of_the_search(finished: Outcome) -> None:
    with Store.open(finished.work_dir, readonly=True) as store:
        searched = {birth.text for birth in store.births()}
        scores = [r.score.ap or 0.0 for r in store.scores() if r.trial.distiller in searched and not r.trial.test]
    leader = finished.hall_of_fame[0]
    assert leader.fitness.values[0] == max(scores)
    first = finished.summary["final"]["finalists"][0]
    assert (first["role"], first["formula"]) == ("leader", leader.distiller.with_scales(scales_of(finished)).text)


def scales_of(finished: Outcome) -> dict[str, float]:
    with Store.open(finished.work_dir, readonly=True) as store:
        return {record.tree: record.scale.value for record in store.scales() if record.scale.value is not None}


def test_the_winner_is_chosen_on_selection_among_all_that_were_judged(finished: Outcome) -> None:
    rows = finished.summary["final"]["finalists"]
    best = finished.summary["best"]
    assert best["formula"] == max(rows, key=lambda row: sum(row["selection_ap"]))["formula"] == finished.best.text
    assert not finished.best.uncalibrated
    assert {path.name for path in finished.work_dir.iterdir()} >= {"distiller.json", "tree.png"}
    assert finished.logbook.select("stage")[0] == "divide"


def test_what_happened_is_recorded_in_order(finished: Outcome) -> None:
    with Store.open(finished.work_dir, readonly=True) as store:
        often = ("worked", "planned", "noise of scores", "measured")
        kinds = [event.kind for event in store.events() if event.kind not in often]
        told = [event.detail["trial"] for event in store.events() if event.kind == "measured"]
        assert told == [vars(r.trial) for r in store.scores() if r.trial.test and r.score.ok]  # of these alone, once
    assert kinds[:4] == ["named", "started", "pace", "final round planned"]
    assert kinds[4:6] == ["learning curve", "learning curve"]  # of student and teacher, as they are trained
    assert kinds[6:] == ["tuning planned", "final round", "finished"]


@pytest.mark.slow
def test_rungs_a_half_trained_start_and_packs_give_what_a_killed_run_gives(
    tiny_config: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    options = {"proxy.iterations": 4, "proxy.rungs": "2,", "proxy.start": "half_trained", "proxy.start_iterations": 2}
    for name, more in (("whole", {"execution.executor": "serial"}), ("packed", LOCAL | {"execution.pack": 2})):
        process = start(tmp_path / name, {**options, **more})
        assert process.wait(timeout=600) == 0, process.stderr
    killed = tmp_path / "killed"
    for _ in range(3):
        process = start(killed, {**options, **LOCAL})
        time.sleep(12)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(killed, {**options, **LOCAL}).wait(timeout=600) == 0
    told = []
    for name in ("whole", "packed", "killed"):
        with opened(tmp_path / name) as summary:
            told.append(untimed(summary.to_json()))
        assert not (tmp_path / name / "rungs").exists()
    assert told[0]["counts"]["rejected"] > 0
    assert told[0] == told[1] == told[2]
    assert verify(tmp_path / "killed").differences == ()


def test_generated_candidates_are_all_accounted_for(finished: Outcome) -> None:
    counts = dict(finished.summary["counts"])
    assert counts.pop("generated") == sum(counts.values()) > 0


@pytest.mark.slow
def test_two_workers_give_what_one_process_gives(tiny_config: Path, finished: Outcome, tmp_path: Path) -> None:
    outcome = Experiment.from_config(tiny_config, tmp_path / "two", **LOCAL).run()
    assert untimed(outcome.summary) == untimed(finished.summary)


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
    moments = {2: "serial", 8: "local", total - judging // 2: "serial"}  # while preparing, dividing, judging
    for answers, executor in moments.items():
        process = start(work_dir, {"execution.executor": executor})
        wait_for(lambda: len(rows(work_dir)) >= answers or process.poll() is not None)  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        recorded |= rows(work_dir)
        assert answers <= len(recorded) < total
    outcome = Experiment.from_config(tiny_config, work_dir).run()
    assert untimed(outcome.summary) == untimed(finished.summary)
    assert recorded.items() <= rows(work_dir).items()
    assert len(rows(work_dir)) == total


def test_a_finished_run_started_again_trains_nothing(tiny_config: Path, finished: Outcome, copied: Path) -> None:
    before = rows(copied)
    outcome = Experiment.from_config(tiny_config, copied).run()
    assert untimed(outcome.summary) == untimed(finished.summary)
    assert rows(copied) == before


def test_deleted_files_are_made_again(tiny_config: Path, finished: Outcome, copied: Path) -> None:
    for name in ("teacher-outputs.pt", "probe.pt", "tree.png"):
        (copied / name).unlink()
    outcome = Experiment.from_config(tiny_config, copied).run()
    assert untimed(outcome.summary) == untimed(finished.summary)
    for name in ("teacher-outputs.pt", "probe.pt", "tree.png"):
        assert (copied / name).read_bytes() == (finished.work_dir / name).read_bytes()


def test_a_changed_config_is_refused_and_says_what_differs(tiny_config: Path, copied: Path) -> None:
    changed = {"seed": 5, "proxy.iterations": 3}
    with pytest.raises(StoreError) as refusal:
        Experiment.from_config(tiny_config, copied, **changed).run()
    assert "config.seed: 0 -> 5" in str(refusal.value)
    assert "config.proxy.iterations: 2 -> 3" in str(refusal.value)


def test_a_detector_config_that_changed_in_its_file_is_refused(tiny_config: Path, copied: Path) -> None:
    override = {"student.overrides": {"model.bbox_head.stacked_convs": 2}}
    with pytest.raises(StoreError, match="detectors.student"):
        Experiment.from_config(tiny_config, copied, **override).run()


def test_where_it_runs_does_not_bind_a_work_directory(tiny_config: Path, copied: Path) -> None:
    options = {"execution.time_limit_seconds": 5, "cache_dir": str(copied)}
    assert Experiment.from_config(tiny_config, copied, **options).run().best.terms


def test_a_teacher_that_is_no_better_stops_the_run(tiny_config: Path, finished: Outcome, copied: Path) -> None:
    ceiling, alone = (finished.summary[who]["selection_ap"] for who in ("teacher", "baseline"))
    assert ceiling <= max(alone), "the tiny teacher learns too much for this test"
    strict = Experiment.from_config(tiny_config, copied, require_better_teacher=True)
    with pytest.raises(DetectorError, match=f"{ceiling:.3f}.*{max(alone):.3f}.*require_better_teacher=False"):
        strict.run()


def test_broken_teacher_outputs_are_named(tiny_config: Path, copied: Path) -> None:
    (copied / "teacher-outputs.pt").write_bytes(b"no tensors")
    with sqlite3.connect(copied / "store.sqlite") as database:
        database.execute("DELETE FROM scores WHERE position = 8")
    with pytest.raises(StoreError, match=r"teacher-outputs\.pt.*delete the file"):
        Experiment.from_config(tiny_config, copied).run()


def test_a_student_that_fails_alone_is_named(tiny_config: Path, tmp_path: Path) -> None:
    wild = {"proxy.optimizer": {"type": "SGD", "lr": 1e12}, "proxy.clip_norm": 0}
    with pytest.raises(DetectorError, match=r"student alone fails.*(nonfinite|diverged).*optimizer\.lr"):
        Experiment.from_config(tiny_config, tmp_path / "wild", **wild).run()


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
from detkds_gp.experiment import Experiment
if __name__ == "__main__":
    outcome = Experiment.from_config({config!r}, "own", primitive_set=GOOD, knowledge=("global",)).run()
    print(outcome.best.text)
"""


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


def test_ctrl_c_ends_everything_and_says_how_to_go_on(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start(tmp_path / "stopped", {**LOCAL, "execution.workers": 1, "teacher.train.iterations": 100000})
    wait_for(lambda: len(members(process.pid)) >= 3)  # with the worker and multiprocessing's tracker
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert time.monotonic() - started < 15
    assert f"gp_search run {process.args[2]} --work-dir {tmp_path / 'stopped'}" in said  # type: ignore[index]
    assert "Traceback" not in said
    wait_for(lambda: not members(process.pid), seconds=10)
