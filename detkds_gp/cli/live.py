"""The live view of a run: progress, niches, what is at work; plain lines where there is no terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from detkds_gp.cli.niche_board import NicheBoard
from detkds_gp.cli.output import say
from detkds_gp.listener import Listener
from detkds_gp.score import Score

_RESOURCE_SECONDS = 5.0
_GIB = 2**20  # /proc/meminfo counts KiB
_GPU_QUERY = "--query-gpu=utilization.gpu,memory.used,memory.total"
_GPU_SECONDS = 2.0


class PlainListener(Listener):
    """Prints one line per phase and generation."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, message: str) -> None:
        """Print a line."""
        say(self.console, message)

    def phase(self, name: str, total: int, known: int, besides: int = 0) -> None:
        """Print what starts."""
        self.say(f"{name}: {total} trainings" + (f", {known} answered before" if known else ""))

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Print the best and median of every niche."""
        for record in records:
            self.say("  " + niche_line(record))


class LiveListener(Listener):
    """The view on a terminal: a progress bar, a table of the niches, the candidates at work, the time left.

    Args:
        console: where lines are printed above the view.
        workers: that train side by side.
    """

    def __init__(self, console: Console, workers: int) -> None:
        self.console = console
        counted = "{task.description}", BarColumn(), MofNCompleteColumn()
        self.progress = Progress(*counted, TimeElapsedColumn(), "eta", TimeRemainingColumn())
        self.task = self.progress.add_task("preparing", total=None)
        self.board = NicheBoard()
        self._workers = workers
        self._at_work: Sequence[str] = ()
        self._expected: dict[str, float] = {}
        self._phase: tuple[float, float] | None = None  # when it began, and how long it should take
        self._ends: float | None = None
        self._machine, self._looked = "", 0.0

    def say(self, message: str) -> None:
        """Print a line above the view."""
        self.console.print(message, highlight=False, markup=False, emoji=False)

    def phase(self, name: str, total: int, known: int, besides: int = 0) -> None:
        """Start the bar anew, for all that is at work; beside it one of time, where an estimate is known."""
        self.progress.reset(self.task, description=name, total=total + besides, completed=known)
        self._phase = (time.monotonic(), self._expected.pop(name)) if name in self._expected else None

    def expected(self, name: str, seconds: float) -> None:
        """Note how long a phase will take."""
        self._expected[name] = seconds

    def asked(self, candidates: Sequence[tuple[str, str]]) -> None:
        """Note how much the candidates of a niche differ."""
        self.board.ask(candidates)

    def waiting(self, texts: Sequence[str]) -> None:
        """Show the first as at work, one for each worker."""
        self._at_work = texts[: self._workers]

    def time_left(self, seconds: float) -> None:
        """Show how long the whole run still takes, and count down."""
        self._ends = time.monotonic() + seconds

    def answered(self, niche: str, score: Score | None) -> None:
        """Move the bar on."""
        self.progress.advance(self.task)
        if score is not None:
            self.board.answer(niche, score)

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Print the generation's lines above the view."""
        self.board.record(records)
        for record in records:
            self.say(f"{record['stage']} {record['generation']}: {niche_line(record)}")

    def __rich__(self) -> Group:
        phase, ends, now = self._phase, self._ends, time.monotonic()  # another thread than who listens draws
        bars = [] if phase is None else [_timed_bar(now - phase[0], phase[1])]
        at_work = [Text(f"at work: {text}", no_wrap=True, overflow="ellipsis") for text in self._at_work]
        planned = "to the end of all that is planned"
        left = [] if ends is None else [f"about {_written(max(0.0, ends - now))} {planned}"]
        if now - self._looked > _RESOURCE_SECONDS:
            self._machine, self._looked = _resources(), now
        dim = [Text(line, style="dim") for line in (*left, self._machine)]
        return Group(self.progress, *bars, self.board.table(), *at_work, *dim)


def _timed_bar(taken: float, estimated: float) -> Group:
    """Return how much of its estimated time something has taken, for what cannot be counted."""
    bar = ProgressBar(total=estimated, completed=min(taken, estimated), width=40)
    late = ", longer than estimated" if taken > estimated else ""
    return Group(bar, Text(f"{_written(taken)} of about {_written(estimated)}{late}", style="dim"))


def _written(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"


def _resources() -> str:
    """Return load, memory and GPUs, as far as this machine tells them."""
    load = f"load {os.getloadavg()[0]:.1f} of {os.cpu_count() or 1} cores"
    return " · ".join(filter(None, [load, _memory(), *_gpus()]))


def _memory() -> str:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return ""
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    total, free = kib.get("MemTotal", 0), kib.get("MemAvailable", 0)
    return f"memory {(total - free) / _GIB:.1f} of {total / _GIB:.1f} GiB"


def _gpus() -> list[str]:
    """Ask nvidia-smi: torch would take memory of every GPU that it looks at."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, _GPU_QUERY, "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_GPU_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ") for line in told.splitlines()]
    return [f"GPU {n} {row[0]}%, {row[1]} of {row[2]} MiB" for n, row in enumerate(rows) if len(row) == 3]


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
        listener = LiveListener(console, workers)
        with Live(listener, console=console, refresh_per_second=4, transient=True):
            yield listener
