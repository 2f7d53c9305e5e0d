"""Workers on a Ray cluster, or on a Ray instance of this machine; needs the extra ``[cluster]``."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any

from detkds_gp.errors import ConfigError, first_line
from detkds_gp.execution import _travel, _worker
from detkds_gp.execution._base import Factory, Fault, WorkersAsked, WorkerStartError, check_positive
from detkds_gp.execution._pool import MOVED, NOT_STARTED, PoolExecutor

_POLL_SECONDS = 1.0
_SCHEDULING_SECONDS = 300.0
_CONNECT_SECONDS = 5.0
_SHOWN = 300


@dataclass(frozen=True)
class Resources:
    """What each worker reserves, and where.

    Attributes:
        num_cpus: CPU cores.
        num_gpus: GPUs, or the share of one.
        address: of a running cluster, such as ``auto`` or ``10.0.0.1:6379``; None takes RAY_ADDRESS from
            the environment, else starts an instance on this machine.
    """

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    address: str | None = None


class RayExecutor(PoolExecutor):
    """Runs tasks in Ray actors, each of which builds its evaluator once.

    Actors and not bare tasks, because models and data are loaded once per worker, and because Ray ends
    a GPU task's process after every call. A worker that dies costs one task; the tasks of a lost machine go
    to other workers. Where the cluster has room for fewer workers than asked, these do the work. Every machine
    needs detkds_gp; the user's modules are sent.

    Args:
        factory: builds the evaluator; picklable.
        workers: how many actors.
        time_limit_seconds: of one task, from when a worker takes it; None for no limit.
        resources: of each worker.
        modules: names of modules that the machines of the cluster do not have; loaded modules beside them
            travel too.

    Raises:
        ValueError: a number is not positive.
        ConfigError: Ray is not installed, or the cluster cannot be reached.
    """

    one_at_a_time = False

    def __init__(
        self,
        factory: Factory,
        workers: int,
        time_limit_seconds: float | None = None,
        resources: Resources = Resources(),
        modules: Iterable[str] = (),
    ) -> None:
        check_positive(workers=workers, time_limit_seconds=time_limit_seconds, num_cpus=resources.num_cpus)
        self._ray, self._ours = _connected(resources, workers)
        options = {"num_cpus": resources.num_cpus, "num_gpus": resources.num_gpus, "max_restarts": 0}
        actor = self._ray.remote(_Actor).options(**options)
        build = (_travel.sources_beside(modules), pickle.dumps(factory), max(1, int(resources.num_cpus)))
        self._arrived: set[Any] = set()
        members = [_RayWorker(self._ray, partial(actor.remote, *build), self._arrived) for _ in range(workers)]
        super().__init__(members, time_limit_seconds)
        self._resources = resources
        self._idle_since = time.monotonic()

    @classmethod
    def made(cls, factory: Factory, asked: WorkersAsked) -> RayExecutor:
        """See Executor.made."""
        resources = Resources(asked.threads, asked.gpus, asked.address)
        return cls(factory, asked.workers, asked.time_limit_seconds, resources, {*asked.own, type(factory).__module__})

    def _wait(self, busy: Sequence[_RayWorker]) -> None:
        references = [reference for worker in self._workers for reference in worker.pending]  # type: ignore[attr-defined]
        timeout = min([_POLL_SECONDS, *(worker.remaining_seconds for worker in busy)])
        self._arrived.clear()
        if references:
            self._ray.wait(references, timeout=max(timeout, 0.01))  # for the first; then all that are there
            self._arrived.update(self._ray.wait(references, num_returns=len(references), timeout=0)[0])
        if busy or any(worker.ready for worker in self._workers):
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > _SCHEDULING_SECONDS:
            got = f"the cluster started no worker within {_SCHEDULING_SECONDS:g} s"
            raise WorkerStartError(
                f"{got}; wanted {self._resources}, it has {self._ray.cluster_resources()}; ask for less or add machines"
            )

    def close(self) -> None:
        """See Executor.close; a Ray instance that this executor started ends too."""
        super().close()
        if self._ours and self._ray.is_initialized():
            self._ray.shutdown()


class _Actor:
    """Lives in a worker process of Ray."""

    def __init__(self, sources: dict[str, str], factory: bytes, threads: int) -> None:
        _travel.install(sources)
        _worker.build(factory, threads)

    def started(self) -> None:
        """Answer once the evaluator is built."""

    def work(self, task: bytes) -> bytes:
        return _worker.work(task)


class _RayWorker:
    """One actor, seen from the coordinator; replaced when it is gone and there is a task for it.

    ``arrived`` are references known to be there: asking Ray one by one would take long with many workers.
    """

    def __init__(self, ray: Any, make: Callable[[], Any], arrived: AbstractSet[Any]) -> None:
        self._ray = ray
        self._arrived = arrived
        self._make = make
        self._actor: Any = None
        self._started: Any = None
        self._reference: Any = None
        self._stillborn: Any = None
        self._limit: float | None = None
        self._given_at = 0.0

    @property
    def pending(self) -> list[Any]:
        """What to wait for."""
        return [reference for reference in (self._started, self._reference) if reference is not None]

    @property
    def remaining_seconds(self) -> float:
        """Until the time limit of its task."""
        return float("inf") if self._limit is None else self._given_at + self._limit - time.monotonic()

    @property
    def ready(self) -> bool:
        if self._actor is None:
            self._actor = self._make()
            self._started = self._actor.started.remote()
        if self._started in self._arrived:
            try:
                self._ray.get(self._started)
            except self._ray.exceptions.RayError as error:  # what its first task will get for an answer
                self._stillborn = MOVED if _meaning(error, 0.0) is MOVED else NOT_STARTED
            self._started = None
        return self._started is None

    def give(self, task: Any, time_limit_seconds: float | None) -> None:
        self._limit, self._given_at = time_limit_seconds, time.monotonic()
        self._reference = self._actor.work.remote(pickle.dumps(task))

    @property
    def answered(self) -> bool:
        return self._stillborn is not None or self._reference in self._arrived or self.remaining_seconds <= 0

    def answer(self) -> Any:
        if (stillborn := self._stillborn) is not None:
            self.begin_stop()
            return stillborn
        reference, self._reference = self._reference, None
        spent = time.monotonic() - self._given_at
        if reference not in self._arrived:
            self.begin_stop()
            return Fault("timeout", f"no result within {self._limit:g} s", self._limit or 0.0)
        try:
            payload = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self.begin_stop()
            return _meaning(error, spent)
        return _worker.opened(payload)

    def begin_stop(self) -> None:
        if self._actor is not None and self._ray.is_initialized():
            self._ray.kill(self._actor, no_restart=True)
        self._actor = self._started = self._reference = self._stillborn = None

    def finish_stop(self) -> None:
        """Ray kills without being waited for."""


def _connected(resources: Resources, workers: int) -> tuple[Any, bool]:
    """Return the module, connected, and whether this call connected it."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError(f"execution.executor is 'ray': {error}; pip install 'detkds_gp[cluster]'") from error
    if ray.is_initialized():
        return ray, False
    address = resources.address or os.environ.get("RAY_ADDRESS") or "local"
    _check_reachable(address)
    here: dict[str, Any] = {"num_cpus": max(1, round(workers * resources.num_cpus)), "include_dashboard": False}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(here if address == "local" else {}))
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster at {address!r}: {first_line(error)}; start it, or give execution.address"
        ) from error
    return ray, True


def _check_reachable(address: str) -> None:
    """Try a host:port for seconds; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in address:
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"no Ray cluster at {address!r}: {reason}; start it, or mend execution.address") from error


def _meaning(error: Exception, spent: float) -> Any:
    """Tell a machine that is gone from a worker that ran out of memory or died."""
    words = " ".join(str(error).split())
    if type(error).__name__ == "NodeDiedError" or "its node has died" in words:
        return MOVED
    if type(error).__name__ == "OutOfMemoryError" or "running low on memory" in words:
        return Fault("out_of_memory", words[:_SHOWN], spent)
    detail = words.partition("Worker exit detail: ")[2] or words
    return Fault("worker_lost", detail.partition(" Some common causes")[0][:_SHOWN], spent)
