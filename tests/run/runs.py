"""What the tests of whole runs share: their processes, and what they have recorded."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detkds_gp.errors import StoreError
from detkds_gp.store import Store

GP_SEARCH = str(Path(sys.executable).with_name("gp_search"))
LOCAL = {"execution.executor": "local", "execution.workers": 2}


def untimed(told: Any) -> Any:
    """Return a summary without what the clock measured."""
    if isinstance(told, Mapping):
        return {name: untimed(part) for name, part in told.items() if name not in ("wall_seconds", "training_time")}
    return [untimed(part) for part in told] if isinstance(told, list) else told


def rows(work_dir: Path) -> dict[Any, float]:
    """Return when each trial was recorded; nothing while there is no store."""
    try:
        with Store.open(work_dir, readonly=True) as store:
            return {record.trial: record.finished_at for record in store.scores()}
    except StoreError:
        return {}


def members(session: int) -> list[str]:
    """Return the process ids of a session that still run."""
    listed = subprocess.run(["ps", "-s", str(session), "-o", "pid=,stat="], capture_output=True, text=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if "Z" not in line]


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
