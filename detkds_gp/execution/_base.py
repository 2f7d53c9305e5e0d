"""The protocol of all executors, and the one place where an exception becomes a fault."""

from __future__ import annotations

import re
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from detkds_gp.errors import UserError, named_line

ResultT = TypeVar("ResultT")

Evaluator = Callable[[Any], Any]
Factory = Callable[[], Evaluator]
"""Makes the evaluator of one worker."""

_ALLOCATION_FAILED = re.compile(r"out of memory|can't allocate memory|not enough memory|_STATUS_ALLOC_FAILED")


class WorkerStartError(UserError):
    """Worker processes die before they can take a task."""


@dataclass(frozen=True)
class Fault:
    """Why a task has no result.

    Attributes:
        kind: ``timeout`` (killed at its time limit), ``worker_lost`` (its process died),
            ``out_of_memory`` (host or device), ``error`` (the evaluator raised: a bug).
        detail: one line; for ``error`` the traceback follows.
        wall_seconds: what it cost; for ``worker_lost`` from handing out the task, a worker's
            start-up included.
    """

    kind: Literal["timeout", "worker_lost", "out_of_memory", "error"]
    detail: str
    wall_seconds: float


@dataclass
class Usage:
    """How well the workers of an executor were used.

    Attributes:
        busy_seconds: worker seconds spent on tasks.
        held_seconds: worker seconds while there was any work.
    """

    busy_seconds: float = 0.0
    held_seconds: float = 0.0

    @property
    def idle_share(self) -> float:
        """The share of the held seconds in which a worker had no task, in [0, 1]."""
        return max(0.0, 1 - self.busy_seconds / self.held_seconds) if self.held_seconds else 0.0


@dataclass(frozen=True)
class Gate:
    """What is asked of the clock while some work is done.

    Attributes:
        begin: asked with a task's index before it is handed out; False: nothing further of the work is begun, and it
            ends when what is at work has answered.
        over: asked again and again; True: what is at work is abandoned too. A task in the calling process
            cannot be abandoned.
    """

    begin: Callable[[int], bool] = lambda index: True
    over: Callable[[], bool] = lambda: False


OPEN = Gate()
"""Lets everything through."""


@dataclass(eq=False)
class Work:
    """Tasks that were given to an executor together, and what has come of them.

    Closed, it is forgotten, and what is at work of it is stopped.

    Attributes:
        tasks: any picklable values.
        gate: says whether they may still begin.
        limit: seconds for each; None for no limit.
        works: that it is one of.
        waiting: indices of those that were not begun yet.
        at_work: indices of those that a worker has.
        moves: by index, how often the machine under one was lost.
    """

    tasks: Sequence[Any]
    gate: Gate
    limit: float | None
    works: Works
    waiting: deque[int] = field(default_factory=deque)
    at_work: set[int] = field(default_factory=set)
    moves: Counter[int] = field(default_factory=Counter)
    _answers: list[tuple[int, Any]] = field(default_factory=list)

    def begin(self) -> int | None:
        """Return the index of the task that a worker takes now; None where there is none, or the gate is shut."""
        if self.works.draining or not self.waiting:
            return None
        if not self.gate.begin(self.waiting[0]):
            self.waiting.clear()
            return None
        self.at_work.add(self.waiting[0])
        return self.waiting.popleft()

    def answered(self, index: int, answer: Any) -> None:
        """Take the result of a task, or its fault."""
        self.at_work.remove(index)
        self._answers.append((index, answer))

    def again(self, index: int) -> None:
        """Let a task that no worker took wait again, before all others."""
        self.at_work.remove(index)
        self.waiting.appendleft(index)

    def take(self) -> list[tuple[int, Any]]:
        """Return (index, result or fault) of all that has answered since the last call."""
        taken, self._answers = self._answers, []
        return taken

    @property
    def ended(self) -> bool:
        """Whether nothing more will answer."""
        waits = self.waiting and not self.works.draining
        return not (waits or self.at_work) or self.gate.over()

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *_: object) -> None:
        self.works.close(self)


class Works:
    """The works of an executor, in the order in which they are served: those begun earlier first, urgent ones before.

    Args:
        stop: ends what is at work of a work that is closed.

    Attributes:
        draining: whether no further task is begun; may be set by a signal handler at any moment.
    """

    def __init__(self, stop: Callable[[Work], None] = lambda work: None) -> None:
        self.draining = False
        self._open: list[Work] = []
        self._stop = stop

    def add(self, tasks: Sequence[Any], gate: Gate, limit: float | None, urgent: bool) -> Work:
        """Take on tasks, all of which wait."""
        work = Work(tasks, gate, limit, self, deque(range(len(tasks))))
        self._open.insert(0 if urgent else len(self._open), work)
        return work

    def begin(self) -> tuple[Work, int] | None:
        """Return the work and the index of the task that a worker takes now; None where there is none."""
        return next(((work, index) for work in self._open if (index := work.begin()) is not None), None)

    @property
    def waiting(self) -> bool:
        """Whether a task waits to be begun."""
        return not self.draining and any(work.waiting for work in self._open)

    def close(self, work: Work) -> None:
        """Stop what is at work of a work, and forget it."""
        self._stop(work)
        self._open.remove(work)

    def __bool__(self) -> bool:
        return bool(self._open)


@dataclass(frozen=True)
class WorkersAsked:
    """The workers that a config asks for.

    Attributes:
        workers: how many.
        time_limit_seconds: for one task.
        threads: of each numeric library in each worker.
        gpus: GPUs, or the share of one, that each worker takes; 0 leaves all visible to all.
        address: of a running cluster, where there is one.
        shared: modules that workers may inherit from a process that has imported them; they start no thread.
        own: modules of the user, which a worker on another machine does not have.
    """

    workers: int = 1
    time_limit_seconds: float | None = None
    threads: int = 1
    gpus: float = 0.0
    address: str | None = None
    shared: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


class Executor(Protocol):
    """Does work by evaluators that a factory builds once per worker.

    Tasks and results are any picklable values. The factory is a picklable callable without
    arguments; it loads models and data and returns the evaluator, ``evaluate(task) -> result``.

    One file and one entry in `detkds_gp.execution.EXECUTORS`, or a config that names it by ``module:NAME``.

    Attributes:
        one_at_a_time: whether it has one worker, however many are asked for.
        usage: of the workers so far.
    """

    one_at_a_time: bool
    usage: Usage

    @classmethod
    def made(cls, factory: Factory, asked: WorkersAsked) -> Executor:
        """Make the executor that a config asks for.

        Raises:
            ConfigError: what is asked for is not there.
        """

    def begin(
        self, tasks: Sequence[Any], *, limited: bool = True, patience: float = 1.0, gate: Gate = OPEN,
        urgent: bool = False,
    ) -> Work:  # fmt: skip
        """Take on tasks, which `wait` hands out; close what it returns.

        There may be several works at once. Tasks are handed out in their order, those of an earlier work first, urgent
        ones before all others.

        Args:
            tasks: any picklable values.
            limited: whether the executor's time limit holds for each of them,
            patience: times this number.
            gate: asked while the work is done.
            urgent: whether the caller waits for these alone.

        Raises:
            RuntimeError: the executor is closed.
        """

    def wait(self) -> None:
        """Return when something of any work has answered, or after a while; hand out what workers are free for.

        Raises:
            Exception: what the factory raised, as itself where it can be pickled.
            WorkerStartError: worker processes die while starting.
        """

    def drain(self) -> None:
        """Hand out no further task: all work ends when what is at work has answered. For signal handlers."""

    def close(self) -> None:
        """Stop all workers at once; closing twice is allowed, beginning afterwards is not."""


def run_tasks(executor: Executor, tasks: Sequence[Any], **options: Any) -> Iterator[tuple[int, Any]]:
    """Yield (index into ``tasks``, result or fault) as tasks are done, each index at most once.

    An index is left out where the gate, or `Executor.drain`, kept its task from being begun or finished. Closing the
    iterator early stops what still runs. ``options`` are those of `Executor.begin`.
    """
    with executor.begin(tasks, **options) as work:
        while True:
            ended = work.ended
            yield from work.take()
            if ended:
                return
            executor.wait()


def attempt(evaluation: Callable[[], ResultT]) -> ResultT | Fault:
    """Return the evaluation's result, or the fault that its exception means."""
    started = time.monotonic()
    try:
        return evaluation()
    except (Exception, SystemExit) as error:
        line = named_line(error)
        if is_out_of_memory(error):
            return Fault("out_of_memory", line, time.monotonic() - started)
        trace = "".join(traceback.format_exception(error))
        return Fault("error", f"{line}\n{trace}", time.monotonic() - started)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether host or device memory ran out; torch need not be imported.

    torch raises OutOfMemoryError for its caching allocator on a device, and plain RuntimeErrors
    for its CPU allocator, the CUDA driver and the cu* libraries.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(_ALLOCATION_FAILED.search(str(error)))


def check_positive(**numbers: float | None) -> None:
    """Raise a ValueError that names all numbers where one is not above 0; None stands for no limit."""
    if any(number is not None and number <= 0 for number in numbers.values()):
        got = ", ".join(f"{name}={number}" for name, number in numbers.items())
        raise ValueError(f"got {got}; wanted positive numbers")
