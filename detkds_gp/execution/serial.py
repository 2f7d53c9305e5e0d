"""One task after the other in the calling process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from detkds_gp.execution._base import Evaluator, Factory, attempt


class SerialExecutor:
    """Runs tasks in order in this process: the simplest to debug.

    A running task cannot be stopped from within its own process, so there is no time limit, and
    a crash of native code ends the search.

    Args:
        factory: builds the evaluator, at the first task.
    """

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._evaluate: Evaluator | None = None
        self._closed = False

    def run(self, tasks: Sequence[Any], *, limited: bool = True) -> Iterator[tuple[int, Any]]:
        """See Executor.run; yields in the order of ``tasks``."""
        for index, task in enumerate(tasks):
            if self._closed:
                raise RuntimeError("this executor is closed; make another")
            if self._evaluate is None:
                self._evaluate = self._factory()
            yield index, attempt(partial(self._evaluate, task))

    def close(self) -> None:
        """Let go of the evaluator."""
        self._evaluate, self._closed = None, True

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
