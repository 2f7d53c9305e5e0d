"""What runs inside a worker process.

All that crosses its boundary is pickled here and there: a value that cannot be is one task's fault, not the pool's end.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detkds_gp.errors import named_line
from detkds_gp.execution._base import attempt

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""By which numeric libraries are told how many threads to start."""


@dataclass(frozen=True)
class StartFailure:
    """The factory raised: its error, and the traceback in the worker."""

    error: BaseException
    trace: str


_evaluator: Callable[[Any], Any] | StartFailure | None = None


def start(factory: bytes, threads: int, device: str | None = None) -> None:
    """Prepare this process and `build` its evaluator; ``device`` is the only GPU that it may see, None for all."""
    # The default action kills at once; a Python handler would wait for native code to return.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    build(factory, threads)


def build(factory: bytes, threads: int) -> None:
    """Build this process's evaluator; a failure is kept for the first task.

    The factory is unpickled after the ``threads`` of each numeric library are set, because it may import torch.
    """
    global _evaluator
    _limit_threads(threads)
    try:
        _evaluator = pickle.loads(factory)()
    except Exception as error:
        _evaluator = StartFailure(_portable(error), "".join(traceback.format_exception(error)))
    _limit_threads(threads)


def work(task: bytes) -> bytes:
    """Return the pickled result, Fault or StartFailure of one pickled task."""
    evaluate = _evaluator
    if isinstance(evaluate, StartFailure):
        return pickle.dumps(evaluate)
    assert evaluate is not None, "start() runs first"
    evaluated = attempt(lambda: pickle.dumps(evaluate(pickle.loads(task))))
    return evaluated if isinstance(evaluated, bytes) else pickle.dumps(evaluated)


def opened(payload: bytes) -> Any:
    """Return the result or Fault that a worker answered; raise what its factory raised."""
    answer = pickle.loads(payload)
    if isinstance(answer, StartFailure):
        raise answer.error from RuntimeError("in a worker process\n" + answer.trace)
    return answer


def _end_with_parent() -> None:
    """Wait for the coordinating process to end, however it ends, and end too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _limit_threads(threads: int) -> None:
    """Limit libraries imported later by the environment, those already imported by a call."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(0)


def _portable(error: Exception) -> Exception:
    """Return the error itself if it survives pickling, else its summary."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(named_line(error))
    return error
