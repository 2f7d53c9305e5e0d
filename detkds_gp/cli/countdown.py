"""Lines of the live view that move with the clock: the time left, and a bar of time against its estimate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.text import Text


@dataclass
class Countdown:
    """The time to the end of a run; drawn anew, it is less.

    Attributes:
        seconds: left when it was estimated.
        now: the clock, in seconds.
    """

    seconds: float
    now: Callable[[], float] = time.monotonic
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.now()

    @property
    def left(self) -> float:
        """The seconds left now, 0 at the least."""
        return max(0.0, self.seconds - (self.now() - self._since))

    def __rich__(self) -> Text:
        return Text(f"about {written(self.left)} to the end of all that is planned", style="dim")


@dataclass
class TimedBar:
    """How much of its estimated time something has taken, for what cannot be counted.

    Attributes:
        seconds: estimated.
        now: the clock, in seconds.
    """

    seconds: float
    now: Callable[[], float] = time.monotonic
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.now()

    def __rich__(self) -> Group:
        taken = self.now() - self._since
        bar = ProgressBar(total=self.seconds, completed=min(taken, self.seconds), width=40)
        late = ", longer than estimated" if taken > self.seconds else ""
        return Group(bar, Text(f"{written(taken)} of about {written(self.seconds)}{late}", style="dim"))


def written(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
