"""Where, when and with what a session ran: recorded, never compared."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from detkds_gp.config import ExperimentConfig
from detkds_gp.evaluation import worker_count
from detkds_gp.operators import active_operators

_GIT_SECONDS = 5


def provenance(config: ExperimentConfig) -> dict[str, Any]:
    """Return what is recorded with the start of a session, as JSON values."""
    return {
        "command": sys.argv,
        "config": config.model_dump(mode="json"),
        "process": os.getpid(),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "operators": active_operators(),
        "device": device_name(config.proxy.device),
        "executor": config.execution.executor,
        "workers": worker_count(config),
        "gpus_per_worker": config.execution.gpus_per_worker,
        "budget": config.budget,
        "git": {"detkds_gp": git_state(Path(__file__).parent), "here": git_state(Path.cwd())},
    }


def device_name(device: str) -> str:
    """Return a GPU's name, or the processor's and how many cores this process may use."""
    if device.startswith("cuda") and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(device))
    return f"{device}: {platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the repository that holds a folder and whether files differ from it.

    None without one, and where git takes longer than 5 seconds.
    """
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    told = ended.stdout.strip()
    return {"commit": told.removesuffix("-dirty"), "changed": told.endswith("-dirty")}
