"""Processes, watched from outside."""

import time
from pathlib import Path


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=60.0):
    """Poll until the condition holds; return whether it came to hold."""
    end = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return holds


def noted_pid(file: Path) -> int:
    assert wait_until(lambda: file.exists() and file.read_text())
    return int(file.read_text())
