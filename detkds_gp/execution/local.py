"""Worker processes on this machine, with a time limit per task."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait

from detkds_gp.execution._base import Factory, check_positive
from detkds_gp.execution._main_guard import check_main_guard
from detkds_gp.execution._pool import PoolExecutor
from detkds_gp.execution._process import WorkerProcess

_POLL_SECONDS = 1.0


class LocalExecutor(PoolExecutor):
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
        gpus: share of a GPU that each worker takes, at most 1: with 0.5 the first two workers see the
            first GPU only. 0 leaves all GPUs visible to all workers.

    Raises:
        ValueError: a number is not positive, or the share is not in [0, 1].
        WorkerStartError: the script that calls this has no ``if __name__ == "__main__":`` around it.
    """

    def __init__(
        self,
        factory: Factory,
        workers: int,
        time_limit_seconds: float | None = None,
        threads: int = 1,
        gpus: float = 0.0,
    ) -> None:
        check_main_guard()
        check_positive(workers=workers, time_limit_seconds=time_limit_seconds, threads=threads)
        if not 0 <= gpus <= 1:
            raise ValueError(f"got gpus={gpus}, wanted a share from 0 to 1 of one GPU for each worker")
        pickled = pickle.dumps(factory)
        devices = [visible_gpu(index, gpus) for index in range(workers)]
        super().__init__([WorkerProcess((pickled, threads, device)) for device in devices], time_limit_seconds)

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
