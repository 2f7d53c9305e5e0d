"""The loop that all executors with several workers share."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from detkds_gp.execution._base import OPEN, Fault, Gate, Usage, WorkerStartError

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
    """Hands tasks in their order to whichever worker is free; workers are started, or start when asked if ready."""

    def __init__(self, workers: Sequence[Worker], time_limit_seconds: float | None = None) -> None:
        self.usage = Usage()
        self._workers = list(workers)
        self._limit = time_limit_seconds
        self._failed_starts = 0
        self._running = self._draining = self._closed = False

    def run(
        self, tasks: Sequence[Any], *, limited: bool = True, patience: float = 1.0, gate: Gate = OPEN
    ) -> Iterator[tuple[int, Any]]:
        """See Executor.run; tasks are handed out in their order."""
        if self._closed or self._running:
            raise RuntimeError(f"this executor {'is closed' if self._closed else 'runs already'}")
        self._running = True
        limit = self._limit * patience if limited and self._limit is not None else None
        round_ = _Round(tasks, limit, self._workers, gate)
        began = self._now()
        try:
            while ((round_.waiting and not self._draining) or round_.busy) and not gate.over():
                self._hand_out(round_)
                self._wait(list(round_.busy))
                answers = self._collect(round_)
                self._hand_out(round_)  # workers go on while the caller digests
                yield from answers
        finally:
            stop_all(round_.busy)
            self.usage.held_seconds += len(self._workers) * (self._now() - began)
            self._running = False

    def drain(self) -> None:
        """See Executor.drain."""
        self._draining = True

    def close(self) -> None:
        """See Executor.close."""
        self._closed = True
        stop_all(self._workers)

    def _wait(self, busy: Sequence[Any]) -> None:
        """Return when one of the busy workers may have answered, or after a while."""
        raise NotImplementedError

    def _now(self) -> float:
        return time.monotonic()

    def _hand_out(self, round_: _Round) -> None:
        if self._draining or not round_.waiting:
            return
        for worker in [worker for worker in round_.free if worker.ready][: len(round_.waiting)]:
            index = round_.waiting[0]
            if not round_.gate.begin(index):
                round_.waiting.clear()
                return
            round_.waiting.popleft()
            worker.give(round_.tasks[index], round_.limit)
            del round_.free[worker]
            round_.busy[worker] = (index, self._now())

    def _collect(self, round_: _Round) -> list[tuple[int, Any]]:
        """Return (index, result or Fault) of the workers now free; tasks that never ran wait again."""
        answers = []
        for worker in [w for w in round_.busy if w.answered]:
            self.usage.busy_seconds += self._now() - round_.busy[worker][1]
            answer = worker.answer()  # where it raises, the worker is stopped with those that are busy
            index, _ = round_.busy.pop(worker)
            round_.free[worker] = None
            answer = self._settled(round_, index, answer)
            if isinstance(answer, _HandOutAgain):
                round_.waiting.appendleft(index)
            else:
                answers.append((index, answer))
        return answers

    def _settled(self, round_: _Round, index: int, answer: Any) -> Any:
        """Pass the answer through; give up where starts fail in a row, and on a task under which machines go."""
        self._failed_starts = self._failed_starts + 1 if answer is NOT_STARTED else 0
        if self._failed_starts >= _START_ATTEMPTS:
            raise WorkerStartError(
                f"{self._failed_starts} worker processes in a row died while starting, wanted "
                f"{len(self._workers)}; see their output above, or use fewer if memory is short"
            )
        if answer is MOVED:
            round_.moves[index] += 1
            if round_.moves[index] > _MOVES:
                return Fault("worker_lost", f"{round_.moves[index]} machines were lost under it", 0.0)
        return answer

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Round:
    """The tasks of one ``run`` and where they are."""

    def __init__(self, tasks: Sequence[Any], limit: float | None, workers: Iterable[Worker], gate: Gate) -> None:
        self.tasks, self.limit, self.gate = tasks, limit, gate
        self.free: dict[Worker, None] = dict.fromkeys(workers)
        self.waiting = deque(range(len(tasks)))
        self.busy: dict[Worker, tuple[int, float]] = {}
        self.moves: Counter[int] = Counter()


def stop_all(workers: Iterable[Worker]) -> None:
    """Kill these workers, whatever they do, and wait for their end."""
    stopping = list(workers)
    for worker in stopping:
        worker.begin_stop()
    for worker in stopping:
        worker.finish_stop()
