"""Real Ray instances on this machine; skipped where the extra ``[cluster]`` is not installed."""

from __future__ import annotations

import sys

import evaluators
import pytest

from detkds_gp.errors import ConfigError, FormulaError
from detkds_gp.execution import Gate, RayExecutor, Resources, WorkerStartError, run_tasks

OWN = """
from helper_of_own import twice

class Factory:
    def __call__(self):
        return lambda task: twice(task)
"""


@pytest.fixture(scope="module")
def ray():
    """A Ray instance that all tests here share."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def test_an_absent_cluster_is_named():
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match="no Ray cluster at '127.0.0.1:1'"):
        RayExecutor(evaluators.factory, 1, resources=Resources(address="127.0.0.1:1"))


@pytest.mark.slow
def test_every_kind_of_end_costs_one_task(ray):
    tasks = {
        "timeout": ("nap", 60),
        "killed": ("kill_self",),
        "segfault": ("segfault",),
        "exit": ("exit", 7),
        "memory": ("raise", MemoryError("all of it")),
        "error": ("raise", ZeroDivisionError("0 boxes")),
        "unpicklable result": ("unpicklable_result",),
        "fine": ("square", 5),
    }
    with RayExecutor(evaluators.factory, 2, 8.0, modules=["evaluators"]) as executor:
        answers = list(run_tasks(executor, list(tasks.values())))
    named = {list(tasks)[index]: answer for index, answer in answers}
    assert len(answers) == len(tasks)
    assert named.pop("fine") == 25
    assert {name: fault.kind for name, fault in named.items()} == {
        "timeout": "timeout",
        "killed": "worker_lost",
        "segfault": "worker_lost",
        "exit": "worker_lost",
        "memory": "out_of_memory",
        "error": "error",
        "unpicklable result": "error",
    }
    assert all("\n" not in fault.detail for name, fault in named.items() if fault.kind != "error")


@pytest.mark.slow
def test_factory_errors_arrive(ray):
    with (
        RayExecutor(evaluators.formula_error_factory, 1, modules=["evaluators"]) as executor,
        pytest.raises(FormulaError, match="'l3' is unknown"),
    ):
        list(run_tasks(executor, [1]))
    with (
        RayExecutor(evaluators.dying_factory, 1, modules=["evaluators"]) as executor,
        pytest.raises(WorkerStartError, match="2 worker processes in a row died"),
    ):
        list(run_tasks(executor, [1]))


@pytest.mark.slow
def test_the_users_modules_travel(ray, tmp_path, monkeypatch):
    (tmp_path / "own_factory.py").write_text(OWN)
    (tmp_path / "helper_of_own.py").write_text("def twice(x):\n    return 2 * x\n")
    with monkeypatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        import own_factory
    executor = RayExecutor(own_factory.Factory(), 1, modules=["own_factory"])
    for file in tmp_path.glob("*.py"):
        file.unlink()
    with executor:
        assert list(run_tasks(executor, [21])) == [(0, 42)]
    del sys.modules["own_factory"], sys.modules["helper_of_own"]


@pytest.mark.slow
def test_a_drained_executor_finishes_what_is_at_work(ray):
    with RayExecutor(evaluators.factory, 1, modules=["evaluators"]) as executor:
        answers = run_tasks(executor, [("square", 2), ("square", 3), ("square", 4)])
        first = next(answers)
        executor.drain()
        rest = list(answers)
    assert first == (0, 4)
    assert rest in ([], [(1, 9)])


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'detkds_gp\[cluster\]'"):
        RayExecutor(evaluators.factory, 1)


@pytest.mark.slow
def test_a_gate_keeps_tasks_from_being_begun(ray):
    gate = Gate(begin=lambda index: index < 2)
    with RayExecutor(evaluators.factory, 1, modules=["evaluators"]) as executor:
        assert dict(run_tasks(executor, [("square", 2), ("square", 3), ("square", 4)], gate=gate)) == {0: 4, 1: 9}
        assert dict(run_tasks(executor, [("square", 5)])) == {0: 25}
