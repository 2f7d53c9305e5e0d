"""Worker processes on this machine, with a time limit per task."""

from __future__ import annotations

import ast
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, TimeoutError, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from detkds_gp.execution import _worker
from detkds_gp.execution._base import Factory, Fault, WorkersAsked, WorkerStartError, check_positive
from detkds_gp.execution._pool import NOT_STARTED, PoolExecutor, stop_all

_POLL_SECONDS = 1.0
_ALONE = {**dict.fromkeys(_worker.THREAD_VARIABLES, "1"), "CUDA_VISIBLE_DEVICES": ""}
"""The environment of a server: no library starts a thread while it is imported, none sees a GPU."""


class LocalExecutor(PoolExecutor):
    """Runs tasks in worker processes; a crash, a kill or a time limit costs one task.

    Each worker is a process, spawned or forked from a server that has imported ``preload``. It builds its
    evaluator once, before its first task; one that was killed is replaced when there is a task for it.
    Workers ignore Ctrl-C and end with the coordinating process, however that ends.

    Args:
        factory: builds the evaluator; picklable, and importable in a fresh interpreter.
        workers: how many processes.
        time_limit_seconds: of one task, counted from when a worker whose evaluator is built takes it: start-up is free
            and has no limit. None for no limit.
        threads: of each numeric library in each worker.
        gpus: share of a GPU that each worker takes, at most 1: with 0.5 the first two see the first GPU only; 0 leaves
            all visible to all.
        preload: modules that one server process imports for all workers: they start in milliseconds, with one thread
            and without a GPU. Their import must start no thread. Empty, and elsewhere than on Linux: every worker is a
            fresh interpreter.

    Raises:
        ValueError: a number is not positive, the share is not in [0, 1], or ``preload`` is not for such workers.
        WorkerStartError: the script that calls this has no ``if __name__ == "__main__":`` around it.
    """

    one_at_a_time = False

    def __init__(
        self,
        factory: Factory,
        workers: int,
        time_limit_seconds: float | None = None,
        threads: int = 1,
        gpus: float = 0.0,
        preload: Sequence[str] = (),
    ) -> None:
        _check_main_guard()
        check_positive(workers=workers, time_limit_seconds=time_limit_seconds, threads=threads)
        if not 0 <= gpus <= 1:
            raise ValueError(f"got gpus={gpus}, wanted a share from 0 to 1 of one GPU for each worker")
        if preload and (gpus or threads != 1):
            raise ValueError(f"got preload with gpus={gpus} and threads={threads}, wanted it for one thread and no GPU")
        pickled = pickle.dumps(factory)
        devices = [visible_gpu(index, gpus) for index in range(workers)]
        processes = [_WorkerProcess((pickled, threads, device), preload) for device in devices]
        super().__init__(processes, time_limit_seconds)

    @classmethod
    def made(cls, factory: Factory, asked: WorkersAsked) -> LocalExecutor:
        """See Executor.made."""
        return cls(factory, asked.workers, asked.time_limit_seconds, asked.threads, asked.gpus, asked.shared)

    def _wait(self, busy: Sequence[_WorkerProcess]) -> None:
        wait([worker.future for worker in busy], timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)


def visible_gpu(index: int, share: float) -> str | None:
    """Return the CUDA_VISIBLE_DEVICES of a worker, one of those that this process sees; None for all."""
    if share == 0:
        return None
    number = int(index * share + 1e-9)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not seen:
        return str(number)
    devices = seen.split(",")
    return devices[number % len(devices)]


def _check_main_guard() -> None:
    """Refuse to start workers from a script that each of them would run again from its top.

    Such a script is no file, or the line of it that is being run stands under no ``if __name__ == "__main__":``.
    """
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if main is None or path is None or getattr(main.__spec__, "name", "").endswith("__main__"):
        return  # a session or -c; a package's __main__, which workers do not import
    if not Path(path).is_file():
        raise WorkerStartError(
            f"the script is no file ({path}), but worker processes import it; write it to a file, with what starts the "
            'search under if __name__ == "__main__":, or set execution.executor = "serial"'
        )
    frames = (frame for frame, _ in traceback.walk_stack(sys._getframe()) if frame.f_globals is vars(main))
    line = next((frame.f_lineno for frame in frames if frame.f_code.co_name == "<module>"), None)
    if line is not None and not _guarded(Path(path), line):
        raise WorkerStartError(
            f"{path}, line {line}, starts worker processes, and each of them would run the script again; put what "
            'starts the search under if __name__ == "__main__":'
        )


def _guarded(path: Path, line: int) -> bool:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return True  # no source, no verdict
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and _asks_for_name(node.test))
    return any(node.lineno <= line <= (node.end_lineno or line) for node in guards)


def _asks_for_name(test: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test))


class _WorkerProcess:
    """A pebble pool of one process, started at its first task and replaced when it dies.

    One process a pool, because pebble gives up a whole pool when a worker dies idle or while starting. pebble arms
    the time limit when the process takes the task, after ``_worker.start`` has built the evaluator.
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
        return True  # the process is started with its first task

    def give(self, task: Any, time_limit_seconds: float | None) -> None:
        self._limit = time_limit_seconds
        payload = pickle.dumps(task)
        if self._pool is None or not self._pool.active:
            stop_all([self])
            context = _context(self._preload)
            self._pool = ProcessPool(1, initializer=_worker.start, initargs=self._build, context=context)
        self._given_at = time.monotonic()
        with _without_interrupts():
            self.future = self._pool.schedule(_worker.work, (payload,), timeout=self._limit)

    @property
    def answered(self) -> bool:
        # a pool that broke may leave its future pending
        return self.future.done() or self._pool is None or not self._pool.active

    def answer(self) -> Any:
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
        return _worker.opened(payload)

    def begin_stop(self) -> None:
        if self._pool is not None:
            self._pool.stop()

    def finish_stop(self) -> None:
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


def _context(preload: Sequence[str]) -> BaseContext:
    """Return the way to start processes, and start the server that holds ``preload`` where there is one.

    A process has one server, which ends with it; the modules are those of whoever comes first, and a worker imports
    what is missing.
    """
    if not preload or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    with _without_interrupts(), _environment(_ALONE):
        forkserver.ensure_running()
    return context


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a process that starts meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Put off SIGINT; a process that starts meanwhile never hears it: Ctrl-C is the coordinator's to answer."""
    resource_tracker.ensure_running()  # else its start, with the first process, would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
