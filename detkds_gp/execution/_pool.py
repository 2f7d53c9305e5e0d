"""The loop that all executors with several workers share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from detkds_gp.execution._base import OPEN, Fault, Gate, Usage, Work, WorkerStartError, Works

_START_ATTEMPTS = 2
_MOVES = 3


class _HandOutAgain(Enum):
    NOT_STARTED = "the worker died before it took the task"
    MOVED = "the machine under the worker is gone"


NOT_STARTED: Final = _HandOutAgain.NOT_STARTED
MOVED: Final = _HandOutAgain.MOVED


class Worker(Protocol):
    """One worker, seen from the coordinator; takes one task at a time."""

    @property
    def ready(self) -> bool:
        """Whether it may be given a task; a worker that has to be scheduled first begins to be."""

    def give(self, task: Any, time_limit_seconds: float | None) -> None:
        """Hand out a task, with no limit if None."""

    @property
    def answered(self) -> bool:
        """Whether ``answer`` returns at once."""

    def answer(self) -> Any:
        """Return the result, a Fault, NOT_STARTED or MOVED; raise what the factory raised."""

    def begin_stop(self) -> None:
        """Ask for the end of the worker, without waiting."""

    def finish_stop(self) -> None:
        """Wait until the worker has ended."""


class PoolExecutor:
    """Hands tasks to whichever worker is free; workers are started, or start when asked if ready."""

    def __init__(self, workers: Sequence[Worker], time_limit_seconds: float | None = None) -> None:
        self.usage = Usage()
        self._workers = list(workers)
        self._limit = time_limit_seconds
        self._works = Works(self._stop)
        self._busy: dict[Worker, tuple[Work, int, float]] = {}
        self._failed_starts = 0
        self._noted = 0.0
        self._closed = False

    def begin(
        self, tasks: Sequence[Any], *, limited: bool = True, patience: float = 1.0, gate: Gate = OPEN,
        urgent: bool = False,
    ) -> Work:  # fmt: skip
        """See Executor.begin."""
        if self._closed:
            raise RuntimeError("this executor is closed")
        limit = self._limit * patience if limited and self._limit is not None else None
        self._note_held()
        return self._works.add(tasks, gate, limit, urgent)

    def wait(self) -> None:
        """See Executor.wait."""
        self._hand_out()
        self._wait(list(self._busy))
        self._collect()
        self._hand_out()  # workers go on while the caller digests
        self._note_held()

    def drain(self) -> None:
        """See Executor.drain."""
        self._works.draining = True

    def close(self) -> None:
        """See Executor.close."""
        self._closed = True
        stop_all(self._workers)

    def _stop(self, work: Work) -> None:
        """Stop the workers that a work has."""
        stopped = [worker for worker, (whose, _, _) in self._busy.items() if whose is work]
        stop_all(stopped)
        for worker in stopped:
            del self._busy[worker]
        self._note_held()

    def _note_held(self) -> None:
        now = self._now()
        if self._works:
            self.usage.held_seconds += len(self._workers) * (now - self._noted)
        self._noted = now

    def _wait(self, busy: Sequence[Any]) -> None:
        """Return when one of the busy workers may have answered, or after a while."""
        raise NotImplementedError

    def _now(self) -> float:
        return time.monotonic()

    def _hand_out(self) -> None:
        for worker in self._workers if self._works.waiting else ():
            if worker in self._busy or not worker.ready:
                continue
            if (begun := self._works.begin()) is None:
                return
            work, index = begun
            worker.give(work.tasks[index], work.limit)
            self._busy[worker] = (work, index, self._now())

    def _collect(self) -> None:
        """Take the answers of the workers now free; tasks that never ran wait again."""
        for worker in [worker for worker in self._busy if worker.answered]:
            work, index, began = self._busy[worker]
            self.usage.busy_seconds += self._now() - began
            answer = self._settled(work, index, worker.answer())  # where it raises, closing the work stops the worker
            del self._busy[worker]
            if isinstance(answer, _HandOutAgain):
                work.again(index)
            else:
                work.answered(index, answer)

    def _settled(self, work: Work, index: int, answer: Any) -> Any:
        """Pass the answer through; give up where starts fail in a row, and on a task under which machines go."""
        self._failed_starts = self._failed_starts + 1 if answer is NOT_STARTED else 0
        if self._failed_starts >= _START_ATTEMPTS:
            raise WorkerStartError(
                f"{self._failed_starts} worker processes in a row died while starting, wanted "
                f"{len(self._workers)}; see their output above, or use fewer if memory is short"
            )
        if answer is MOVED:
            work.moves[index] += 1
            if work.moves[index] > _MOVES:
                return Fault("worker_lost", f"{work.moves[index]} machines were lost under it", 0.0)
        return answer

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stop_all(workers: Iterable[Worker]) -> None:
    """Kill these workers, whatever they do, and wait for their end."""
    stopping = list(workers)
    for worker in stopping:
        worker.begin_stop()
    for worker in stopping:
        worker.finish_stop()
