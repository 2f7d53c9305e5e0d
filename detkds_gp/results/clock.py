"""The clock of a run: the time between two sessions does not count."""

from __future__ import annotations

import math
import time

from detkds_gp.store import Store
from detkds_gp.store.events import REFUSED, STARTED


class Clock:
    """Counts the time that a run was at work: from each start to its last sign of life.

    A session starts with its program: ``lead`` seconds before its start is recorded. What was explained in between,
    and a session whose budget was refused, counts for nothing.

    Args:
        store: of the run.
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
        """Return the seconds at work until a moment, during which the last session goes on.

        Args:
            moment: Unix time; None: now.
        """
        until = time.time() if moment is None else moment
        return sum(max(0.0, min(until, end) - begin) for begin, end in self._sessions)

    @property
    def total(self) -> float:
        """The seconds at work until the last sign of life."""
        return self.seconds(self._store.last_activity(math.inf) or 0.0)
