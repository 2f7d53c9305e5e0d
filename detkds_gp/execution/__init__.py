"""Where evaluations run: in this process, in local worker processes, or on a Ray cluster."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.execution._base import (
        OPEN,
        Executor,
        Factory,
        Fault,
        Gate,
        Usage,
        Work,
        WorkersAsked,
        WorkerStartError,
        Works,
        run_tasks,
    )
    from detkds_gp.execution.local import LocalExecutor
    from detkds_gp.execution.ray import RayExecutor, Resources
    from detkds_gp.execution.serial import SerialExecutor
    from detkds_gp.execution.settings import EXECUTORS, ExecutionSettings

__all__ = [
    "EXECUTORS", "OPEN", "ExecutionSettings", "Executor", "Factory", "Fault", "Gate", "LocalExecutor", "RayExecutor",
    "Resources", "SerialExecutor", "Usage", "Work", "WorkerStartError", "Works", "WorkersAsked", "run_tasks",
]  # fmt: skip

import_lazily(__name__)
