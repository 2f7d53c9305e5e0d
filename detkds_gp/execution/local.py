"""Worker processes on this machine, with a time limit per task."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait

from detkds_gp.execution._base import Factory, WorkersAsked, check_positive
from detkds_gp.execution._main_guard import check_main_guard
from detkds_gp.execution._pool import PoolExecutor
from detkds_gp.execution._process import WorkerProcess

_POLL_SECONDS = 1.0


class LocalExecutor(PoolExecutor):
    """Runs tasks in worker processes; a crash, a kill or a time limit costs one task.

    Each worker is a process, spawned or forked from a server that has imported ``preload``. It builds its
    evaluator once, before its first task; one that was killed is replaced when there is a task for it.
    Workers ignore Ctrl-C and end with the coordinating process, however that ends.

    Args:
        factory: builds the evaluator; picklable, and importable in a fresh interpreter.
        workers: how many processes.
        time_limit_seconds: of one task, counted from when a worker whose evaluator is built takes
            it, so that start-up is free (and has no limit); None for no limit.
        threads: of each numeric library in each worker.
        gpus: share of a GPU that each worker takes, at most 1: with 0.5 the first two workers see the
            first GPU only. 0 leaves all GPUs visible to all workers.
        preload: modules that one server process imports for all workers, also for those that replace others: they
            start in milliseconds, with one thread and without a GPU. Their import must start no thread. Empty, and
            elsewhere than on Linux: every worker is a fresh interpreter.

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
        check_main_guard()
        check_positive(workers=workers, time_limit_seconds=time_limit_seconds, threads=threads)
        if not 0 <= gpus <= 1:
            raise ValueError(f"got gpus={gpus}, wanted a share from 0 to 1 of one GPU for each worker")
        if preload and (gpus or threads != 1):
            raise ValueError(f"got preload with gpus={gpus} and threads={threads}, wanted it for one thread and no GPU")
        pickled = pickle.dumps(factory)
        devices = [visible_gpu(index, gpus) for index in range(workers)]
        processes = [WorkerProcess((pickled, threads, device), preload) for device in devices]
        super().__init__(processes, time_limit_seconds)

    @classmethod
    def made(cls, factory: Factory, asked: WorkersAsked) -> LocalExecutor:
        """See Executor.made."""
        return cls(factory, asked.workers, asked.time_limit_seconds, asked.threads, asked.gpus, asked.shared)

    def _wait(self, busy: Sequence[WorkerProcess]) -> None:
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
