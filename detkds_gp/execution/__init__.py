"""Where evaluations run: in this process or in local worker processes."""

from detkds_gp.execution._base import Executor, Fault, WorkerStartError
from detkds_gp.execution.local import LocalExecutor
from detkds_gp.execution.serial import SerialExecutor

__all__ = ["Executor", "Fault", "LocalExecutor", "SerialExecutor", "WorkerStartError"]
