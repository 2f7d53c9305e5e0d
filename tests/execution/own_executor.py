"""An executor from outside the package: threads of this process, one task each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from detkds_gp.execution import OPEN, Factory, Gate, Usage, Work, WorkersAsked, Works
from detkds_gp.execution._base import attempt


class Threads:
    """Runs tasks in threads; their answers come as they are ready."""

    one_at_a_time = False

    def __init__(self, factory: Factory, workers: int) -> None:
        self.usage = Usage()
        self._evaluate, self._pool, self._workers = factory(), ThreadPoolExecutor(workers), workers
        self._works = Works()
        self._begun: dict[Future[Any], tuple[Work, int]] = {}

    @classmethod
    def made(cls, factory: Factory, asked: WorkersAsked) -> Threads:
        return cls(factory, asked.workers)

    def begin(
        self, tasks: Sequence[Any], *, limited: bool = True, patience: float = 1.0, gate: Gate = OPEN,
        urgent: bool = False,
    ) -> Work:  # fmt: skip
        return self._works.add(tasks, gate, None, urgent)

    def wait(self) -> None:
        while len(self._begun) < self._workers and (begun := self._works.begin()):
            work, index = begun
            self._begun[self._pool.submit(attempt, partial(self._evaluate, work.tasks[index]))] = begun
        for future in wait(self._begun, return_when=FIRST_COMPLETED).done:
            work, index = self._begun.pop(future)
            work.answered(index, future.result())

    def drain(self) -> None:
        self._works.draining = True

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class NoExecutor:
    """Lacks everything."""
