"""One task after the other in the calling process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from detkds_gp.execution._base import OPEN, Evaluator, Factory, Gate, Usage, Work, WorkersAsked, Works, attempt


class SerialExecutor:
    """Runs tasks in order in this process: the simplest to debug.

    A running task cannot be stopped from within its own process, so there is no time limit, and a crash of native
    code ends the search. The factory is called at the first task.
    """

    one_at_a_time = True

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._evaluate: Evaluator | None = None
        self._works = Works()
        self._closed = False
        self.usage = Usage()

    @classmethod
    def made(cls, factory: Factory, asked: WorkersAsked) -> SerialExecutor:
        """See Executor.made; sets torch's number of threads."""
        import torch

        torch.set_num_threads(asked.threads)
        return cls(factory)

    def begin(
        self, tasks: Sequence[Any], *, limited: bool = True, patience: float = 1.0, gate: Gate = OPEN,
        urgent: bool = False,
    ) -> Work:  # fmt: skip
        """See Executor.begin; nothing is handed out before `wait`."""
        if self._closed:
            raise RuntimeError("this executor is closed; make another")
        return self._works.add(tasks, gate, None, urgent)

    def wait(self) -> None:
        """See Executor.wait; does the next task."""
        if (begun := self._works.begin()) is None:
            return
        work, index = begun
        if self._evaluate is None:
            self._evaluate = self._factory()
        began = time.monotonic()
        answer = attempt(partial(self._evaluate, work.tasks[index]))
        self.usage.busy_seconds += time.monotonic() - began
        self.usage.held_seconds = self.usage.busy_seconds
        work.answered(index, answer)

    def drain(self) -> None:
        """See Executor.drain."""
        self._works.draining = True

    def close(self) -> None:
        """Let go of the evaluator."""
        self._evaluate, self._closed = None, True

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
