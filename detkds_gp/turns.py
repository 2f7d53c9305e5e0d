"""Computations that take turns: each goes on until it has to wait, and says what waits."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeAlias, TypeVar

ResultT = TypeVar("ResultT")

Wait: TypeAlias = Callable[[], None]
"""Returns when there may be something to go on with."""

Turns: TypeAlias = Generator[Wait, None, ResultT]
"""Yields, wherever it can go on only later, what waits; returns a result."""


def finished(turns: Turns[ResultT]) -> ResultT:
    """Run a computation to its end, and return its result; it is closed where waiting raises."""
    with closing(turns):
        while True:
            try:
                wait = next(turns)
            except StopIteration as end:
                result: ResultT = end.value
                return result
            wait()
