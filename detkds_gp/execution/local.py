"""Worker processes on this machine, with a time limit per task."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any

from detkds_gp.execution._base import Factory, WorkerStartError
from detkds_gp.execution._process import NOT_STARTED, WorkerProcess, stop_all

_START_ATTEMPTS = 2
_POLL_SECONDS = 1.0


class LocalExecutor:
    """Runs tasks in worker processes; a crash, a kill or a time limit costs one task.

    Each worker is a fresh interpreter (spawn) that builds its evaluator once, before its first
    task; one that was killed is replaced when there is a task for it. Workers ignore Ctrl-C and
    end with the coordinating process, however that ends.

    Args:
        factory: builds the evaluator; picklable, and importable in a fresh interpreter.
        workers: how many processes.
        time_limit_seconds: of one task, counted from when a worker whose evaluator is built takes
            it, so that start-up is free (and has no limit); None for no limit.
        threads: of each numeric library in each worker.

    Raises:
        ValueError: a number is not positive.
    """

    def __init__(
        self,
        factory: Factory,
        workers: int,
        time_limit_seconds: float | None = None,
        threads: int = 1,
    ) -> None:
        if min(workers, threads, 1 if time_limit_seconds is None else time_limit_seconds) <= 0:
            raise ValueError(
                f"got workers={workers}, time_limit_seconds={time_limit_seconds}, "
                f"threads={threads}; wanted positive numbers"
            )
        build = (pickle.dumps(factory), threads)
        self._limit = time_limit_seconds
        self._workers = [WorkerProcess(build) for _ in range(workers)]
        self._failed_starts = 0
        self._running = False
        self._closed = False

    def run(self, tasks: Sequence[Any], *, limited: bool = True) -> Iterator[tuple[int, Any]]:
        """See Executor.run; tasks are handed out in their order."""
        if self._closed or self._running:
            raise RuntimeError(f"this executor {'is closed' if self._closed else 'runs already'}")
        self._running = True
        waiting = deque(range(len(tasks)))
        busy: dict[WorkerProcess, int] = {}
        limit = self._limit if limited else None
        try:
            while waiting or busy:
                self._hand_out(tasks, waiting, busy, limit)
                answers = self._collect(busy)
                waiting.extendleft(i for i, answer in answers if answer is NOT_STARTED)
                self._hand_out(tasks, waiting, busy, limit)  # workers go on while the caller digests
                yield from (pair for pair in answers if pair[1] is not NOT_STARTED)
        finally:
            stop_all(busy)
            self._running = False

    def close(self) -> None:
        """See Executor.close."""
        self._closed = True
        stop_all(self._workers)

    def _hand_out(
        self,
        tasks: Sequence[Any],
        waiting: deque[int],
        busy: dict[WorkerProcess, int],
        limit: float | None,
    ) -> None:
        for worker in self._workers:
            if waiting and worker not in busy:
                worker.give(tasks[waiting[0]], limit)
                busy[worker] = waiting.popleft()

    def _collect(self, busy: dict[WorkerProcess, int]) -> list[tuple[int, Any]]:
        """Wait for news; return (index, result, Fault or NOT_STARTED) of the workers now free."""
        wait([w.future for w in busy], timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        answers = []
        for worker in [w for w in busy if w.answered]:
            index = busy.pop(worker)
            answers.append((index, self._counted(worker.answer())))
        return answers

    def _counted(self, answer: Any) -> Any:
        """Pass the answer through; give up when worker after worker dies while starting."""
        self._failed_starts = self._failed_starts + 1 if answer is NOT_STARTED else 0
        if self._failed_starts >= _START_ATTEMPTS:
            raise WorkerStartError(
                f"{self._failed_starts} worker processes in a row died while starting, wanted "
                f"{len(self._workers)}; see their output above, or use fewer if memory is short"
            )
        return answer

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
