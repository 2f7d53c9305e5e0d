import evaluators
import pytest

from detkds_gp.errors import FormulaError
from detkds_gp.execution import Fault, Gate, SerialExecutor, run_tasks


def test_yields_in_order_and_lazily():
    started = []

    def factory():
        return lambda task: started.append(task) or task * task

    with SerialExecutor(factory) as executor:
        answers = run_tasks(executor, [3, 1, 2])
        assert next(answers) == (0, 9)
        assert started == [3]
        assert list(answers) == [(1, 1), (2, 4)]


def test_builds_the_evaluator_once(tmp_path):
    log = tmp_path / "log"
    with SerialExecutor(evaluators.SlowFactory(0, log)) as executor:
        list(run_tasks(executor, [("square", 1)] * 3))
        list(run_tasks(executor, [("square", 1)] * 3))
    assert len(log.read_text().splitlines()) == 1


def test_faults_do_not_end_the_run():
    tasks = [("raise", MemoryError("all of it")), ("sys_exit", 1), ("square", 3)]
    with SerialExecutor(evaluators.factory) as executor:
        memory, leaves, nine = dict(run_tasks(executor, tasks)).values()
    assert (memory.kind, memory.detail) == ("out_of_memory", "MemoryError: all of it")
    assert isinstance(leaves, Fault)
    assert leaves.kind == "error"
    assert nine == 9


def test_factory_error_is_raised():
    with (
        SerialExecutor(evaluators.formula_error_factory) as executor,
        pytest.raises(FormulaError, match="'l3' is unknown"),
    ):
        list(run_tasks(executor, [1]))


def test_a_drained_executor_hands_out_nothing_more():
    with SerialExecutor(evaluators.factory) as executor:
        answers = run_tasks(executor, [("square", 2), ("square", 3)])
        assert next(answers) == (0, 4)
        executor.drain()
        assert list(answers) == []
        assert executor.usage.idle_share == 0


def test_closed_executor_refuses():
    executor = SerialExecutor(evaluators.factory)
    executor.close()
    executor.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(run_tasks(executor, [1]))


def test_a_gate_ends_the_run_before_a_task_that_it_does_not_let_begin():
    asked = []
    gate = Gate(begin=lambda index: asked.append(index) or index < 2)
    with SerialExecutor(evaluators.factory) as executor:
        assert list(run_tasks(executor, [("square", n) for n in range(5)], gate=gate)) == [(0, 0), (1, 1)]
        assert asked == [0, 1, 2]
        assert list(run_tasks(executor, [("square", 7)])) == [(0, 49)]
