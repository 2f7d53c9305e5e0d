"""How a run stands: running, finished or stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from detkds_gp.store import Store, writer_of
from detkds_gp.store.events import FINISHED, STARTED, explaining

State = Literal["running", "finished", "stopped"]
"""How a run stands."""


def state_of(store: Store, work_dir: Path) -> State:
    """Return how the run of a work directory stands.

    Args:
        store: of the run.
        work_dir: where it is; the process that holds it runs it, unless it explains what was found.
    """
    events = store.events()
    told = [event.kind for event in events if event.kind in (STARTED, FINISHED)]
    if told[-1:] == [FINISHED]:
        return "finished"
    return "running" if writer_of(work_dir) is not None and not explaining(events) else "stopped"
