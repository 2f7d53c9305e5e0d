import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import evaluators
import pytest
from processes import alive, noted_pid, wait_until

from detkds_gp.errors import FormulaError
from detkds_gp.execution import Fault, Gate, LocalExecutor, WorkerStartError, run_tasks
from detkds_gp.execution.local import visible_gpu


def test_yields_as_they_finish_each_index_once():
    tasks = [("nap", 1.5), ("nap", 0.01), ("square", 3), ("square", 4)]
    with LocalExecutor(evaluators.factory, 2) as executor:
        answers = list(run_tasks(executor, tasks))
    assert dict(answers) == {0: 1.5, 1: 0.01, 2: 9, 3: 16}
    assert len(answers) == 4
    assert answers[-1][0] == 0


def test_workers_are_built_once_and_kept_between_runs(tmp_path):
    log = tmp_path / "log"
    with LocalExecutor(evaluators.SlowFactory(0, log), 1) as executor:
        pids = {pid for _ in range(2) for _, pid in run_tasks(executor, [("pid",)] * 3)}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert len(log.read_text().splitlines()) == 1


def test_every_kind_of_end_costs_one_task(tmp_path):
    tasks = {
        "timeout": ("nap", 60),
        "killed": ("kill_self",),
        "segfault": ("segfault",),
        "exit": ("exit", 7),
        "memory": ("raise", MemoryError("all of it")),
        "error": ("raise", ZeroDivisionError("0 boxes")),
        "unpicklable error": ("unpicklable_error",),
        "unpicklable result": ("unpicklable_result",),
        "fine": ("square", 5),
    }
    with LocalExecutor(evaluators.factory, 2, time_limit_seconds=1.0) as executor:
        answers = dict(run_tasks(executor, list(tasks.values())))
    named = dict(zip(tasks, (answers[i] for i in range(len(tasks))), strict=True))
    assert named.pop("fine") == 25
    assert {name: fault.kind for name, fault in named.items()} == {
        "timeout": "timeout",
        "killed": "worker_lost",
        "segfault": "worker_lost",
        "exit": "worker_lost",
        "memory": "out_of_memory",
        "error": "error",
        "unpicklable error": "error",
        "unpicklable result": "error",
    }
    assert named["timeout"].wall_seconds == 1.0
    assert "SIGKILL" in named["killed"].detail
    assert "SIGSEGV" in named["segfault"].detail
    assert named["exit"].detail == "the worker process exited with code 7"
    assert named["error"].detail.startswith("ZeroDivisionError: 0 boxes\nTraceback")
    assert named["unpicklable error"].detail.startswith("Unpicklable: 1 against 2\n")


@pytest.mark.slow
def test_start_up_is_not_counted_not_even_after_a_kill(tmp_path):
    log = tmp_path / "log"
    tasks = [("nap", 0.1), ("nap", 60), ("nap", 0.1), ("exit", 1), ("nap", 0.1)]
    with LocalExecutor(evaluators.SlowFactory(1.2, log), 1, time_limit_seconds=1.0) as executor:
        answers = dict(run_tasks(executor, tasks))
    kinds = [a.kind if isinstance(a, Fault) else a for a in (answers[i] for i in range(5))]
    assert kinds == [0.1, "timeout", 0.1, "worker_lost", 0.1]
    assert len(log.read_text().splitlines()) == 3


def test_an_idle_worker_may_die():
    with LocalExecutor(evaluators.factory, 1) as executor:
        [(_, pid)] = run_tasks(executor, [("pid",)])
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not alive(pid))
        assert list(run_tasks(executor, [("square", 2)])) == [(0, 4)]


def test_factory_error_arrives_as_itself():
    with LocalExecutor(evaluators.formula_error_factory, 2) as executor:
        for _ in range(2):
            with pytest.raises(FormulaError, match="'l3' is unknown") as raised:
                list(run_tasks(executor, [1, 2, 3]))
            assert (raised.value.text, raised.value.position) == ("l3(global)", 0)


def test_factory_error_that_cannot_travel_arrives_in_words():
    with (
        LocalExecutor(evaluators.unpicklable_error_factory, 1) as executor,
        pytest.raises(RuntimeError, match="Unpicklable: 1 against 2"),
    ):
        list(run_tasks(executor, [1]))


def test_factory_that_dies_does_not_loop():
    with (
        LocalExecutor(evaluators.dying_factory, 1) as executor,
        pytest.raises(WorkerStartError, match="2 worker processes in a row died"),
    ):
        list(run_tasks(executor, [1]))


def test_one_death_while_starting_is_forgiven(tmp_path):
    with LocalExecutor(evaluators.DiesOnceFactory(tmp_path / "flag"), 1) as executor:
        assert list(run_tasks(executor, [("square", 3), ("square", 4)])) == [(0, 9), (1, 16)]


def test_abandoning_stops_what_runs(tmp_path):
    pid_file = tmp_path / "pid"
    with LocalExecutor(evaluators.factory, 2) as executor:
        with closing(run_tasks(executor, [("note_and_nap", pid_file, 60), ("square", 2)])) as answers:
            assert next(answers) == (1, 4)
            pid = noted_pid(pid_file)
        assert not alive(pid)
        assert list(run_tasks(executor, [("square", 3)])) == [(0, 9)]


def test_close_is_quick_and_leaves_no_orphan(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    executor = LocalExecutor(evaluators.factory, 2)
    answers = run_tasks(executor, [("square", 1), *(("note_and_nap", f, 60) for f in files)])
    next(answers)
    pids = [noted_pid(f) for f in files]
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 5
    assert not any(map(alive, pids))
    executor.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(run_tasks(executor, [("square", 1)]))


def test_a_later_work_has_the_workers_that_an_earlier_one_leaves():
    with (
        LocalExecutor(evaluators.factory, 2) as executor,
        executor.begin([("nap", 3.0), ("square", 2)]) as first,
        executor.begin([("square", 3), ("square", 4), ("square", 5)]) as second,
    ):
        while not second.ended:
            executor.wait()
        assert not first.ended
        assert first.take() == [(1, 4)]
        assert sorted(second.take()) == [(0, 9), (1, 16), (2, 25)]
        while not first.ended:
            executor.wait()
        assert first.take() == [(0, 3.0)]
        assert executor.usage.held_seconds >= 6.0


def test_urgent_work_is_handed_out_before_what_waits_longer():
    with LocalExecutor(evaluators.factory, 1) as executor, executor.begin([("nap", 0.2)] * 4) as first:
        executor.wait()
        assert list(run_tasks(executor, [("square", 2)], urgent=True)) == [(0, 4)]
        assert list(first.waiting) == [3]


def test_closing_a_work_stops_what_is_at_work_of_it_alone(tmp_path):
    pid_file = tmp_path / "pid"
    with LocalExecutor(evaluators.factory, 2) as executor, executor.begin([("nap", 1.0)]) as first:
        with executor.begin([("note_and_nap", pid_file, 60)]):
            executor.wait()
            pid = noted_pid(pid_file)
        assert not alive(pid)
        while not first.ended:
            executor.wait()
        assert first.take() == [(0, 1.0)]


def test_threads_are_set_before_torch_is_imported():
    pytest.importorskip("torch")
    with LocalExecutor(evaluators.torch_factory, 1, threads=3) as executor:
        assert list(run_tasks(executor, [None])) == [(0, (False, "3", "3", 3))]


@pytest.mark.parametrize(
    "arguments",
    [{"workers": 0}, {"workers": 1, "threads": 0}, {"workers": 1, "time_limit_seconds": 0}],
)
def test_numbers_must_be_positive(arguments):
    with pytest.raises(ValueError, match="wanted positive numbers"):
        LocalExecutor(evaluators.factory, **arguments)


def test_workers_share_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [visible_gpu(i, 0.0) for i in range(2)] == [None, None]
    assert [visible_gpu(i, 1.0) for i in range(3)] == ["0", "1", "2"]
    assert [visible_gpu(i, 0.5) for i in range(4)] == ["0", "0", "1", "1"]
    assert [visible_gpu(i, 1 / 3) for i in range(6)] == ["0", "0", "0", "1", "1", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [visible_gpu(i, 0.5) for i in range(4)] == ["5", "5", "7", "7"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with LocalExecutor(evaluators.factory, 2, gpus=1.0) as executor:
        seen = [answer for _, answer in run_tasks(executor, [("gpu", 0.5), ("gpu", 0.5)])]
    assert sorted(seen) == ["0", "1"]
    with pytest.raises(ValueError, match="a share from 0 to 1"):
        LocalExecutor(evaluators.factory, 1, gpus=2)


def test_a_drained_executor_finishes_what_is_at_work():
    with LocalExecutor(evaluators.factory, 1) as executor:
        answers = run_tasks(executor, [("square", 2), ("nap", 0.2), ("square", 4)])
        assert next(answers) == (0, 4)  # the worker has the next task by then
        executor.drain()
        assert list(answers) == [(1, 0.2)]


def test_the_idle_share_is_what_workers_waited():
    with LocalExecutor(evaluators.factory, 2) as executor:
        list(run_tasks(executor, [("pid",)] * 2))
        before = executor.usage.busy_seconds, executor.usage.held_seconds
        list(run_tasks(executor, [("nap", 1.5), ("nap", 0.1)]))
    busy = executor.usage.busy_seconds - before[0]
    held = executor.usage.held_seconds - before[1]
    assert 1.6 <= busy <= held
    assert held >= 3.0
    assert 0 <= executor.usage.idle_share < 1


COORDINATOR = """
import sys
from pathlib import Path
import evaluators
from detkds_gp.execution import LocalExecutor, run_tasks

if __name__ == "__main__":
    tasks = [("note_and_nap", Path(name), 60) for name in sys.argv[1:]]
    with LocalExecutor(evaluators.factory, len(tasks)) as executor:
        list(run_tasks(executor, tasks))
"""


def started(script, files):
    """Start the coordinator of as many workers as there are files, in a group of its own."""
    script.write_text(COORDINATOR)
    return subprocess.Popen(
        [sys.executable, script, *files],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_the_coordinator(tmp_path, ending):
    """SIGINT goes to the whole group, as Ctrl-C in a terminal does."""
    files = [tmp_path / "a", tmp_path / "b"]
    coordinator = started(tmp_path / "coordinator.py", files)
    pids = [noted_pid(f) for f in files]
    if ending == signal.SIGINT:
        os.killpg(coordinator.pid, ending)
    else:
        os.kill(coordinator.pid, ending)
    _, output = coordinator.communicate(timeout=120)
    assert wait_until(lambda: not any(map(alive, pids)))
    if ending == signal.SIGINT:
        assert output.count("Traceback") == 1
        assert "KeyboardInterrupt" in output


def test_an_interrupt_while_workers_start_is_the_coordinators_alone(tmp_path):
    coordinator = started(tmp_path / "coordinator.py", [tmp_path / "a", tmp_path / "b"])
    children = Path(f"/proc/{coordinator.pid}/task/{coordinator.pid}/children")
    assert wait_until(lambda: len(children.read_text().split()) >= 3)  # the workers and multiprocessing's tracker
    time.sleep(0.3)  # the coordinator has handed the last one its task; none has imported all it needs
    os.killpg(coordinator.pid, signal.SIGINT)
    _, output = coordinator.communicate(timeout=120)
    assert output.count("Traceback") == 1
    assert "KeyboardInterrupt" in output


def test_a_gate_lets_what_is_at_work_finish_and_nothing_more_begin():
    begun = []
    gate = Gate(begin=lambda index: len(begun) < 3 and not begun.append(index))
    with LocalExecutor(evaluators.factory, 2) as executor:
        answers = dict(run_tasks(executor, [("nap", 0.3), ("square", 3), ("square", 4), ("square", 5)], gate=gate))
        assert answers == {0: 0.3, 1: 9, 2: 16}
        assert dict(run_tasks(executor, [("square", 5)])) == {0: 25}


def test_what_is_at_work_is_abandoned_when_time_is_over():
    started = time.monotonic()
    with LocalExecutor(evaluators.factory, 2) as executor:
        list(run_tasks(executor, [("square", 1)] * 2))
        end = time.monotonic() + 1.0
        gate = Gate(over=lambda: time.monotonic() > end)
        assert dict(run_tasks(executor, [("square", 2), ("nap", 300), ("nap", 300)], gate=gate)) == {0: 4}
        assert dict(run_tasks(executor, [("square", 3)])) == {0: 9}
    assert time.monotonic() - started < 120
