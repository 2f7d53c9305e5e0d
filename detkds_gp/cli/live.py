"""The live view of a run: a progress bar and the niches on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from detkds_gp.experiment import Listener
from detkds_gp.score import Score


class PlainListener(Listener):
    """Prints one line per phase and generation."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, message: str) -> None:
        """Print a line."""
        self.console.print(message, highlight=False, markup=False, emoji=False)

    def phase(self, name: str, total: int, known: int) -> None:
        """Print what starts."""
        self.say(f"{name}: {total} trainings" + (f", {known} answered before" if known else ""))

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Print the best and median of every niche."""
        for record in records:
            self.say("  " + niche_line(record))


class LiveListener(Listener):
    """Keeps a progress bar and a table of the niches on the terminal."""

    def __init__(self, live: Live) -> None:
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
        self.best: dict[str, float] = {}
        self.seen: dict[str, list[int]] = {}

    def say(self, message: str) -> None:
        """Print a line above the view."""
        self.live.console.print(message, highlight=False, markup=False, emoji=False)

    def phase(self, name: str, total: int, known: int) -> None:
        """Start the bar anew."""
        self.progress.reset(self.task, description=name, total=total, completed=known)
        self.refresh()

    def answered(self, niche: str, score: Score | None) -> None:
        """Move the bar on."""
        self.progress.advance(self.task)
        if score is None:
            return
        done = self.seen.setdefault(niche, [0, 0])
        done[not score.ok] += 1
        if score.ap is not None:
            self.best[niche] = max(self.best.get(niche, 0.0), score.ap)
        self.refresh()

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Print the generation's lines above the view."""
        for record in records:
            self.say(f"{record['stage']} {record['generation']}: {niche_line(record)}")

    def refresh(self) -> None:
        """Draw."""
        table = Table(box=None, pad_edge=False)
        for column in ("niche", "trained", "failed", "best AP (selection)"):
            table.add_column(column, justify="left" if column == "niche" else "right")
        for niche, (ok, failed) in self.seen.items():
            best = self.best.get(niche)
            table.add_row(niche, str(ok), str(failed), "" if best is None else f"{best:.3f}")
        self.live.update(Group(self.progress, table))


def niche_line(record: Mapping[str, Any]) -> str:
    """Say in one line how a niche stands after a generation."""
    if "best" not in record:
        return f"{record['niche']}: nothing succeeded ({record['failed']} failed)"
    return (
        f"{record['niche']}: best {record['best']:.3f}, median {record['median']:.3f}, "
        f"{record['new']} new, {record['failed']} failed"
    )


@contextmanager
def watching(console: Console, quiet: bool) -> Iterator[Listener]:
    """Yield the listener that suits the terminal."""
    if quiet:
        yield Listener()
    elif not console.is_terminal:
        yield PlainListener(console)
    else:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield LiveListener(live)
