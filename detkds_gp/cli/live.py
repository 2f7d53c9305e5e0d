"""The live view of a run: progress, niches, what is at work; plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from detkds_gp.cli.countdown import Countdown, TimedBar
from detkds_gp.cli.niche_board import NicheBoard
from detkds_gp.cli.resources import resources
from detkds_gp.listener import Listener
from detkds_gp.score import Score

_RESOURCE_SECONDS = 5.0
_HEADS = ("niche", "best AP", "median", "spread", "diversity", "new", "known", "rejected", "failed")


class PlainListener(Listener):
    """Prints one line per phase and generation."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, message: str) -> None:
        """Print a line."""
        self.console.print(message, soft_wrap=True, highlight=False, markup=False, emoji=False)

    def phase(self, name: str, total: int, known: int) -> None:
        """Print what starts."""
        self.say(f"{name}: {total} trainings" + (f", {known} answered before" if known else ""))

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Print the best and median of every niche."""
        for record in records:
            self.say("  " + niche_line(record))


class LiveListener(Listener):
    """Keeps a progress bar, a table of the niches and the candidates at work on the terminal.

    Args:
        live: where to draw.
        workers: that train side by side.
    """

    def __init__(self, live: Live, workers: int) -> None:
        self.live = live
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
        )
        self.task = self.progress.add_task("preparing", total=None)
        self.board = NicheBoard()
        self._workers = workers
        self._at_work: Sequence[str] = ()
        self._left: Countdown | None = None
        self._expected: dict[str, float] = {}
        self._bar: TimedBar | None = None
        self._machine, self._looked = "", 0.0

    def say(self, message: str) -> None:
        """Print a line above the view."""
        self.live.console.print(message, highlight=False, markup=False, emoji=False)

    def phase(self, name: str, total: int, known: int) -> None:
        """Start the bar anew; beside it one of time, where an estimate is known."""
        self.progress.reset(self.task, description=name, total=total, completed=known)
        self._bar = TimedBar(self._expected.pop(name)) if name in self._expected else None
        self._at_work = ()
        self.refresh()

    def expected(self, name: str, seconds: float) -> None:
        """Note how long a phase will take."""
        self._expected[name] = seconds

    def asked(self, candidates: Sequence[tuple[str, str]]) -> None:
        """Note how much the candidates of a niche differ."""
        self.board.ask(candidates)

    def waiting(self, texts: Sequence[str]) -> None:
        """Show the first as at work, one for each worker."""
        self._at_work = texts[: self._workers]
        self.refresh()

    def time_left(self, seconds: float) -> None:
        """Show how long the whole run still takes, and count down."""
        self._left = Countdown(seconds)
        self.refresh()

    def answered(self, niche: str, score: Score | None) -> None:
        """Move the bar on."""
        self.progress.advance(self.task)
        if score is not None:
            self.board.answer(niche, score)
            self.refresh()

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Print the generation's lines above the view."""
        self.board.record(records)
        for record in records:
            self.say(f"{record['stage']} {record['generation']}: {niche_line(record)}")

    def refresh(self) -> None:
        """Draw."""
        table = Table(box=None, pad_edge=False)
        for head in _HEADS:
            table.add_column(head, justify="left" if head == "niche" else "right")
        for row in self.board.rows():
            table.add_row(*row)
        lines = [Text(f"at work: {text}", no_wrap=True, overflow="ellipsis") for text in self._at_work]
        clocks = [clock for clock in (self._bar, self._left) if clock is not None]
        machine = Text(self._resources(), style="dim")
        self.live.update(Group(self.progress, *clocks[:-1], table, *lines, *clocks[-1:], machine))

    def _resources(self) -> str:
        if time.monotonic() - self._looked > _RESOURCE_SECONDS:
            self._machine, self._looked = resources(), time.monotonic()
        return self._machine


def niche_line(record: Mapping[str, Any]) -> str:
    """Say in one line how a niche stands after a generation."""
    if "best" not in record:
        return f"{record['niche']}: nothing succeeded ({record['failed']} failed)"
    return (
        f"{record['niche']}: best {record['best']:.3f}, median {record['median']:.3f}, spread {record['spread']:.3f}, "
        f"{record['new']} new, {record['duplicates']} known already, {record['failed']} failed"
    )


@contextmanager
def watching(console: Console, quiet: bool, workers: int = 1) -> Iterator[Listener]:
    """Yield the listener that suits the terminal."""
    if quiet:
        yield Listener()
    elif not console.is_terminal:
        yield PlainListener(console)
    else:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield LiveListener(live, workers)
