"""How a run stands: its state, its time at work, what its screening found."""

from __future__ import annotations

import math
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from detkds_gp.store import Store, writer_of
from detkds_gp.store.events import FINISHED, REFUSED, STARTED, explaining

State = Literal["running", "finished", "stopped"]
"""How a run stands."""


def state_of(store: Store, work_dir: Path) -> State:
    """Return how a run stands; the process that holds its work directory runs it, unless it explains what was found."""
    events = store.events()
    told = [event.kind for event in events if event.kind in (STARTED, FINISHED)]
    if told[-1:] == [FINISHED]:
        return "finished"
    return "running" if writer_of(work_dir) is not None and not explaining(events) else "stopped"


class Clock:
    """Counts the time that a run was at work: from each start to its last sign of life.

    A session starts with its program: ``lead`` seconds before its start is recorded. What was explained in between,
    and a session whose budget was refused, counts for nothing, nor does the time between two sessions.
    """

    def __init__(self, store: Store) -> None:
        starts = store.events(STARTED)
        refused = [event.time for event in store.events(REFUSED)]
        self._store = store
        self._sessions: list[tuple[float, float]] = []
        for start, following in zip(starts, [*(event.time for event in starts[1:]), math.inf], strict=True):
            if not any(start.time <= moment <= following for moment in refused):
                end = math.inf if following == math.inf else store.last_activity(following) or start.time
                self._sessions.append((start.time - start.detail.get("lead", 0.0), end))

    def seconds(self, moment: float | None = None) -> float:
        """Return the seconds at work until a moment (Unix time; None: now), during which the last session goes on."""
        until = time.time() if moment is None else moment
        return sum(max(0.0, min(until, end) - begin) for begin, end in self._sessions)

    @property
    def total(self) -> float:
        """The seconds at work until the last sign of life."""
        return self.seconds(self._store.last_activity(math.inf) or 0.0)


def screening_counts(store: Store) -> dict[str, Any]:
    """Return how many formulas were screened, were the same loss as another, and failed which check, as JSON."""
    screenings = [record.screening for record in store.screenings()]
    failures = Counter(s.failure.removeprefix("rejected:") for s in screenings if s.failure is not None)
    return {"screened": len(screenings), "same": len(store.merges()), "rejected": dict(sorted(failures.items()))}
