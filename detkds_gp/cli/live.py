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

from detkds_gp.cli.niche_board import NicheBoard
from detkds_gp.cli.resources import resources
from detkds_gp.experiment import Listener
from detkds_gp.score import Score

_RESOURCE_SECONDS = 5.0
_HEADS = ("niche", "best AP", "median", "spread", "diversity", "new", "known", "rejected", "failed")


class PlainListener(Listener):
    """Prints one line per phase and generation."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, message: str) -> None:
        """Print a line."""
        self.console.print(message, highlight=False, markup=False)

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
        self._left = ""
        self._machine, self._looked = "", 0.0

    def say(self, message: str) -> None:
        """Print a line above the view."""
        self.live.console.print(message, highlight=False, markup=False)

    def phase(self, name: str, total: int, known: int) -> None:
        """Start the bar anew."""
        self.progress.reset(self.task, description=name, total=total, completed=known)
        self._at_work = ()
        self.refresh()

    def asked(self, candidates: Sequence[tuple[str, str]]) -> None:
        """Note how much the candidates of a niche differ."""
        self.board.ask(candidates)

    def waiting(self, texts: Sequence[str]) -> None:
        """Show the first as at work, one for each worker."""
        self._at_work = texts[: self._workers]
        self.refresh()

    def outlook(self, seconds: float) -> None:
        """Show how long the whole run still takes."""
        left = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
        self._left = f"from here about {left} to the end of all that is planned"

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
        notes = [Text(note, style="dim") for note in (self._left, self._resources()) if note]
        self.live.update(Group(self.progress, table, *lines, *notes))

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
