"""How busy this machine is, in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_GIB = 2**20  # /proc/meminfo counts KiB
_GPU_QUERY = "--query-gpu=utilization.gpu,memory.used,memory.total"
_GPU_SECONDS = 2.0


def resources() -> str:
    """Return load, memory and GPUs, as far as this machine tells them."""
    return " · ".join(filter(None, [_load(), _memory(), *_gpus()]))


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} of {os.cpu_count() or 1} cores"


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
