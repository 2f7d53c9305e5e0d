"""Local workers that are forked from a server."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import evaluators
import pytest
from processes import alive, noted_pid, wait_until

from detkds_gp.execution import LocalExecutor, run_tasks

FORKED = """
import os, sys, time
import evaluators
from detkds_gp.execution import LocalExecutor, run_tasks

if __name__ == "__main__":
    with LocalExecutor(evaluators.torch_factory, 2, preload=("torch", "numpy")) as executor:
        answers = [answer for _, answer in run_tasks(executor, [None] * 4)]
    assert answers == [(True, "1", "1", 1)] * 4, answers
    from multiprocessing import forkserver
    server = forkserver._forkserver._forkserver_pid
    print(len(os.listdir(f"/proc/{server}/task")), "torch" in sys.modules, "OMP_NUM_THREADS" in os.environ)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_share_a_server_that_starts_no_thread(tmp_path):
    """Torch is imported once, outside this process, and the server stays single-threaded, so that it can fork."""
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    ended = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == ["1", "False", "False"]


@pytest.fixture
def forked():
    """Make an executor whose workers are forked."""
    with closing(LocalExecutor(evaluators.factory, 1, time_limit_seconds=5, preload=("json",))) as executor:
        yield executor


@pytest.mark.slow
def test_every_kind_of_end_costs_one_task_of_forked_workers(forked):
    tasks = [("nap", 60), ("kill_self",), ("segfault",), ("exit", 7), ("square", 3)]
    answers = dict(run_tasks(forked, tasks))
    assert [answers[index].kind for index in range(4)] == ["timeout", "worker_lost", "worker_lost", "worker_lost"]
    assert "SIGKILL" in answers[1].detail
    assert "SIGSEGV" in answers[2].detail
    assert "code 7" in answers[3].detail
    assert answers[4] == 9


def test_forked_workers_never_hear_ctrl_c(forked):
    (pid,) = (pid for _, pid in run_tasks(forked, [("pid",)]))
    os.kill(pid, signal.SIGINT)
    assert [answer for _, answer in run_tasks(forked, [("nap", 0.2), ("pid",)])] == [0.2, pid]


def test_forked_workers_end_with_the_process_that_started_them(tmp_path):
    pid_file = tmp_path / "pid"
    code = (
        "import evaluators; from pathlib import Path; from detkds_gp.execution import LocalExecutor, run_tasks\n"
        "executor = LocalExecutor(evaluators.factory, 1, preload=('json',))\n"
        f"list(run_tasks(executor, [('note_and_nap', Path({str(pid_file)!r}), 600)]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as coordinator:
        worker = noted_pid(pid_file)
        coordinator.kill()
    assert wait_until(lambda: not alive(worker))


def test_a_server_is_for_workers_of_one_thread_without_a_gpu():
    for given in ({"threads": 2}, {"gpus": 0.5}):
        with pytest.raises(ValueError, match="wanted it for one thread and no GPU"):
            LocalExecutor(evaluators.factory, 1, preload=("json",), **given)
