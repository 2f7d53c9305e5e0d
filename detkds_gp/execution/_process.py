"""One worker process of the local executor, seen from the coordinator."""

from __future__ import annotations

import pickle
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pebble import ProcessExpired, ProcessPool

from detkds_gp.execution import _worker
from detkds_gp.execution._base import Fault
from detkds_gp.execution._pool import NOT_STARTED, stop_all
from detkds_gp.execution._start import make_context, without_interrupts


class WorkerProcess:
    """A pebble pool of one process, started at its first task and replaced when it dies.

    One process a pool, because pebble gives up a whole pool when a worker dies idle or while
    starting. pebble arms the time limit when the process takes the task, after its initializer
    has built the evaluator.

    Args:
        build: arguments of ``_worker.start``.
        preload: modules of the server that it is forked from, see `_start`; none for a fresh interpreter.
    """

    future: Future[bytes]

    def __init__(self, build: tuple[bytes, int, str | None], preload: Sequence[str] = ()) -> None:
        self._build = build
        self._preload = preload
        self._limit: float | None = None
        self._pool: ProcessPool | None = None
        self._given_at = 0.0

    @property
    def ready(self) -> bool:
        """Always: the process is started with its first task."""
        return True

    def give(self, task: Any, time_limit_seconds: float | None) -> None:
        """Hand out a task, with no limit if None; its answer arrives through ``future``."""
        self._limit = time_limit_seconds
        payload = pickle.dumps(task)
        if self._pool is None or not self._pool.active:
            stop_all([self])
            self._pool = ProcessPool(
                1,
                initializer=_worker.start,
                initargs=self._build,
                context=make_context(self._preload),
            )
        self._given_at = time.monotonic()
        with without_interrupts():
            self.future = self._pool.schedule(_worker.work, (payload,), timeout=self._limit)

    @property
    def answered(self) -> bool:
        """Whether ``answer`` returns at once; a pool that broke may leave its future pending."""
        return self.future.done() or self._pool is None or not self._pool.active

    def answer(self) -> Any:
        """Return the result, a Fault or NOT_STARTED; raise what the factory raised."""
        if not self.future.done():
            return NOT_STARTED
        try:
            payload = self.future.result()
        except ProcessExpired as error:
            return Fault("worker_lost", _end(error.exitcode), time.monotonic() - self._given_at)
        except BrokenProcessPool:
            return NOT_STARTED
        except TimeoutError:
            limit = self._limit or 0.0
            return Fault("timeout", f"no result within {limit:g} s", limit)
        answer = pickle.loads(payload)
        if isinstance(answer, _worker.StartFailure):
            stop_all([self])
            raise answer.error from RuntimeError("in a worker process\n" + answer.trace)
        return answer

    def begin_stop(self) -> None:
        """Ask for the end of the process, without waiting."""
        if self._pool is not None:
            self._pool.stop()

    def finish_stop(self) -> None:
        """Wait until the process has ended."""
        if self._pool is not None:
            self._pool.join()
            self._pool = None


def _end(exit_code: int) -> str:
    """Say how a process ended."""
    if exit_code >= 0:
        return f"the worker process exited with code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = "; the kernel sends it when memory runs out" if name == "SIGKILL" else ""
    return f"the worker process was ended by {name}{hint}"
