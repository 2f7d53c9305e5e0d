"""Evaluators for worker processes: a task is (what to do, *arguments)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkds_gp.errors import FormulaError


def evaluate(task: tuple[Any, ...]) -> Any:
    """Do what the task's first word says."""
    return ACTIONS[task[0]](*task[1:])


def factory() -> Callable[[tuple[Any, ...]], Any]:
    """Build the evaluator at once."""
    return evaluate


@dataclass(frozen=True)
class SlowFactory:
    """Builds the evaluator in ``seconds`` and notes each build as a line of ``log``."""

    seconds: float
    log: Path

    def __call__(self) -> Callable[[tuple[Any, ...]], Any]:
        time.sleep(self.seconds)
        with self.log.open("a") as log:
            log.write(f"{os.getpid()}\n")
        return evaluate


def formula_error_factory() -> Callable[[Any], Any]:
    """Fail as a mistaken formula does."""
    raise FormulaError("'l3' is unknown", text="l3(global)", position=0)


class Unpicklable(Exception):
    """Cannot be rebuilt from its ``args``."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} against {right}")


def unpicklable_error_factory() -> Callable[[Any], Any]:
    """Fail with an error that cannot cross a process boundary."""
    raise Unpicklable(1, 2)


def dying_factory() -> Callable[[Any], Any]:
    """End the process before it can take a task."""
    os._exit(3)


@dataclass(frozen=True)
class DiesOnceFactory:
    """Ends the first process that calls it."""

    flag: Path

    def __call__(self) -> Callable[[tuple[Any, ...]], Any]:
        try:
            self.flag.touch(exist_ok=False)
        except FileExistsError:
            return evaluate
        os._exit(3)


def torch_factory() -> Callable[[Any], Any]:
    """Import torch and report: loaded before, thread variables at its import, its thread count."""
    loaded_before = "torch" in sys.modules
    variables = os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]
    import torch

    return lambda _: (loaded_before, *variables, torch.get_num_threads())


def _nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _gpu(seconds: float) -> str | None:
    time.sleep(seconds)  # so that every worker gets one task
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def _note_and_nap(pid_file: Path, seconds: float) -> None:
    pid_file.write_text(str(os.getpid()))
    time.sleep(seconds)


def _raise(error: BaseException) -> None:
    raise error


def _unpicklable_error() -> None:
    raise Unpicklable(1, 2)


ACTIONS: dict[str, Callable[..., Any]] = {
    "square": lambda x: x * x,
    "nap": _nap,
    "gpu": _gpu,
    "note_and_nap": _note_and_nap,
    "pid": os.getpid,
    "exit": os._exit,
    "sys_exit": sys.exit,
    "kill_self": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "raise": _raise,
    "unpicklable_error": _unpicklable_error,
    "unpicklable_result": lambda: lambda: None,
}
