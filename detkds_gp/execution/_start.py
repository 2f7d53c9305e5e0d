"""How a worker process begins: as a fresh interpreter, or forked from a server that has imported what workers need."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext

from detkds_gp.execution._worker import THREAD_VARIABLES

ALONE = {**dict.fromkeys(THREAD_VARIABLES, "1"), "CUDA_VISIBLE_DEVICES": ""}
"""The environment of a server: no library starts a thread while it is imported, none sees a GPU."""


def make_context(preload: Sequence[str]) -> BaseContext:
    """Return the way to start processes, and start the server that holds ``preload`` where there is one.

    A process has one server, which ends with it; the modules are those of whoever comes first, and a worker imports
    what is missing.
    """
    if not preload or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    with without_interrupts(), _environment(ALONE):
        forkserver.ensure_running()
    return context


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a process that starts meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Put off SIGINT; a process that starts meanwhile never hears it: Ctrl-C is the coordinator's to answer."""
    resource_tracker.ensure_running()  # else its start, with the first process, would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
