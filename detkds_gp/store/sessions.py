"""How long a run was at work: the time between two sessions does not count."""

from __future__ import annotations

import time

from detkds_gp.store.events import REFUSED, STARTED
from detkds_gp.store.store import Store


def session_seconds(store: Store, now: float | None = None) -> float:
    """Return how long the run was at work: from each start to its last sign of life, the running one to now.

    A session starts with its program: ``lead`` seconds before its start is recorded. What was explained in between,
    and a session whose budget was refused, counts for nothing.

    Args:
        store: of the run.
        now: Unix time at which the running session is looked at; None: the clock.
    """
    moment = time.time() if now is None else now
    starts = store.events(STARTED)
    refused = [event.time for event in store.events(REFUSED)]
    total = 0.0
    for start, following in zip(starts, [*(event.time for event in starts[1:]), None], strict=True):
        if any(start.time <= one and (following is None or one <= following) for one in refused):
            continue
        end = moment if following is None else store.last_activity(following)
        total += max(0.0, (end or start.time) - start.time + start.detail.get("lead", 0.0))
    return total
