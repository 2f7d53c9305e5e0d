"""How long a run was at work: the time between two sessions does not count."""

from __future__ import annotations

import time
from collections.abc import Callable

from detkds_gp.store.events import STARTED
from detkds_gp.store.store import Store


def session_seconds(store: Store, now: Callable[[], float] = time.time) -> float:
    """Return how long the run was at work: from each start to its last sign of life, the running one to now.

    What was explained in between counts for nothing.
    """
    starts = [event.time for event in store.events(STARTED)]
    total = 0.0
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        end = now() if following is None else store.last_activity(following)
        total += max(0.0, (end or start) - start)
    return total
