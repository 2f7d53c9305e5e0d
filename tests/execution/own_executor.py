"""An executor from outside the package: threads of this process, one task each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any

from detkds_gp.execution import OPEN, Factory, Gate, Usage, WorkersAsked
from detkds_gp.execution._base import attempt


class Threads:
    """Runs tasks in threads; their answers come as they are ready."""

    one_at_a_time = False

    def __init__(self, factory: Factory, workers: int) -> None:
        self.usage = Usage()
        self._evaluate, self._pool, self._draining = factory(), ThreadPoolExecutor(workers), False

    @classmethod
    def made(cls, factory: Factory, asked: WorkersAsked) -> Threads:
        return cls(factory, asked.workers)

    def run(
        self, tasks: Sequence[Any], *, limited: bool = True, patience: float = 1.0, gate: Gate = OPEN
    ) -> Iterator[tuple[int, Any]]:
        begun = {
            self._pool.submit(attempt, partial(self._evaluate, task)): index
            for index, task in enumerate(tasks)
            if not self._draining and gate.begin(index)
        }
        for future in as_completed(begun):
            yield begun[future], future.result()

    def drain(self) -> None:
        self._draining = True

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class NoExecutor:
    """Lacks everything."""
