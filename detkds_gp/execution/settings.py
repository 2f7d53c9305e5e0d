"""What a user may set of the workers."""

from __future__ import annotations

import os

from pydantic import Field, model_validator

from detkds_gp.settings import Settings

EXECUTORS = {
    "local": "detkds_gp.execution.local:LocalExecutor",
    "serial": "detkds_gp.execution.serial:SerialExecutor",
    "ray": "detkds_gp.execution.ray:RayExecutor",
}
"""By the name that configs use, where the class is."""


class ExecutionSettings(Settings):
    """Where candidates are trained; none of it changes a result.

    Attributes:
        executor: ``local`` worker processes, ``serial``: in this process, without time limits, ``ray``, or the
            ``module:NAME`` of an `Executor` of one's own.
        workers: worker processes.
        gpus_per_worker: GPUs, or the share of one, that each worker takes; 0 leaves all visible to all.
        address: of a running Ray cluster; None takes RAY_ADDRESS, else starts an instance on this machine.
        pack: candidates that a worker trains side by side on one pass of data; None: as many as fit into the free
            memory where they share the teacher's forward pass or the decoding of images, else one.
        time_limit_seconds: for one candidate; what trains longer than the proxy, such as a finalist, has as many times
            more, and twice that where it is tested.
        grace_seconds: in which candidates at work may finish when the run is asked to stop.
    """

    executor: str = "local"
    workers: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 2), ge=1)
    gpus_per_worker: float = Field(0.0, ge=0)
    address: str | None = None
    pack: int | None = Field(None, ge=1)
    time_limit_seconds: float = Field(600.0, gt=0)
    grace_seconds: float = Field(60.0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> ExecutionSettings:
        if self.executor not in EXECUTORS and ":" not in self.executor:
            raise ValueError(f"execution.executor is {self.executor!r}, wanted {', '.join(EXECUTORS)} or module:NAME")
        if self.executor == "local" and self.gpus_per_worker > 1:
            raise ValueError(f"execution.gpus_per_worker is {self.gpus_per_worker:g}, wanted at most 1 for 'local'")
        return self
