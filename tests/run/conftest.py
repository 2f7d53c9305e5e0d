from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.run import Outcome

from .runs import GP_SEARCH, LOCAL, members


@pytest.fixture
def copied(finished: Outcome, tmp_path: Path) -> Path:
    """A work directory in which the tiny experiment has finished."""
    return Path(shutil.copytree(finished.work_dir, tmp_path / "copied"))


@pytest.fixture
def start(tiny_config: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``gp_search run`` in a process group of its own, which ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(work_dir: Path, options: Mapping[str, Any] = LOCAL) -> subprocess.Popen[str]:
        command = [GP_SEARCH, "run", str(tiny_config), "--work-dir", str(work_dir)]
        command += ["--cfg-options", *(f"{key}={value}" for key, value in options.items())]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes))
        return started[-1]

    yield run
    for process in started:
        if members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
