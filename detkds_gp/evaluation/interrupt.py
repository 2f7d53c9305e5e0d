"""Stopping in order: the first signal asks, the second insists."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The experiment stopped before its end; all that was finished is recorded, and it can be continued."""


class Interrupt:
    """Lets what is at work finish when a signal asks to stop; after ``grace_seconds`` it is abandoned."""

    def __init__(self, grace_seconds: float) -> None:
        self.requested = False
        self._insisted = False
        self._grace = grace_seconds
        self._drains: list[Callable[[], None]] = []

    @property
    def waits(self) -> bool:
        """Whether an end was asked for, and what is at work may finish."""
        return self.requested and not self._insisted

    def request(self) -> None:
        """Ask for an end: nothing new is begun, and after the grace period nothing goes on."""
        self.requested = True
        for drain in list(self._drains):
            drain()

    @contextmanager
    def graceful(self, drain: Callable[[], None]) -> Iterator[None]:
        """Within, a request calls ``drain`` (from a signal handler) and waits; elsewhere it ends at once.

        Raises:
            Stopped: a request was made before.
        """
        self.check()
        self._drains.append(drain)
        try:
            yield
        finally:
            self._drains.remove(drain)

    def check(self) -> None:
        """Raise Stopped if an end was asked for."""
        if self.requested:
            raise Stopped("stopped in order")

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM within; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._grace_is_over)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested or not self._drains:
            self._insisted = True
            raise Stopped(f"stopped by {signal.Signals(number).name}")
        # os.write, because print may be what the signal interrupts.
        said = f"finishing what is at work, for at most {self._grace:g} s; the same again stops now\n"
        os.write(2, said.encode())
        signal.setitimer(signal.ITIMER_REAL, max(self._grace, 1e-3))
        self.request()

    def _grace_is_over(self, number: int, frame: FrameType | None) -> None:
        self._insisted = True
        raise Stopped("stopped: what was at work did not finish in time")
