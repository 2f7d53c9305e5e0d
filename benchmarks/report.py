"""What the report of a store takes, time, memory and bytes, for 10, 1,000 and 100,000 evaluations.

Stores are made by the real search and store, with screening, calibration and training replaced by a rule
(`made_run.py`), and checked as `gp_search store check` does. Each report is made by `gp_search report` in a process of
its own, imports included, several times; the first of a size compiles Python's bytecode, as after an installation,
and counts too.

    python benchmarks/report.py [--quick] [--repeats 5] [--keep FOLDER] [--save]

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from made_run import make_run

from detkds_gp.report import collect
from detkds_gp.setup.provenance import device_name
from detkds_gp.store.check import check_store

BOUNDS = {10: 5.0, 1_000: 10.0, 100_000: 60.0}
"""Seconds that the report of so many evaluations may take."""

LARGE: dict[str, Any] = {"primitive_set": "detkds_gp.primitives:OMNI", "champions": 6}
"""What a search needs to find 100,000 different formulas."""

LIMIT_BYTES = 6_000_000
LIMIT_GB = 4.0
PACKAGES = ("torch", "scikit-learn", "scipy", "numpy", "matplotlib", "plotly", "jinja2", "SQLAlchemy")


@dataclass(frozen=True)
class Made:
    """One call of ``gp_search report``.

    Attributes:
        seconds: from start to end of its process.
        cpu_seconds: of all its threads.
        gigabytes: of memory at its peak.
    """

    seconds: float
    cpu_seconds: float
    gigabytes: float


def made(work_dir: Path, bytecode: Path) -> Made:
    """Make the report of a store in a process of its own that keeps Python's bytecode in a folder."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", "from detkds_gp.cli.app import main; main()", "report", str(work_dir)]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{shlex.join(command)} ended with {process.returncode}")
    return Made(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)


def measured(work_dir: Path, evaluations: int, bytecode: Path, repeats: int) -> dict[str, Any]:
    """Make a store, unless it is there, and its report once and then so often."""
    started = time.perf_counter()
    if not work_dir.exists():
        make_run(work_dir, round(1.01 * evaluations) + 10, **(LARGE if evaluations > 10_000 else {}))
    store_seconds = time.perf_counter() - started
    if problems := check_store(work_dir).problems:
        raise SystemExit(f"{work_dir} is not sound: {problems}")
    first, *others = [made(work_dir, bytecode) for _ in range(repeats + 1)]
    seconds = [one.seconds for one in others]
    size, memory = (work_dir / "report.html").stat().st_size, max(one.gigabytes for one in (first, *others))
    worst, answered = max(first.seconds, *seconds), len(collect(work_dir).answered)
    bounded = worst < BOUNDS[evaluations] and size < LIMIT_BYTES and memory < LIMIT_GB
    return {
        "asked": evaluations,
        "evaluations": answered,
        "store_seconds": round(store_seconds, 1),
        "first_seconds": round(first.seconds, 2),
        "seconds": {"median": round(median(seconds), 2), "low": round(min(seconds), 2), "high": round(max(seconds), 2)},
        "cpu_seconds": round(median(one.cpu_seconds for one in others), 2),
        "memory_gb": round(memory, 2),
        "bytes": size,
        "bound_seconds": BOUNDS[evaluations],
        "holds": bounded and answered >= evaluations,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the two small stores, once: a check that it works")
    parser.add_argument("--repeats", type=int, default=5, help="reports of each store after its first")
    parser.add_argument("--keep", type=Path, help="where stores are kept, and taken from if they are there")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    arguments = parser.parse_args()
    sizes = [size for size in BOUNDS if not arguments.quick or size <= 1_000]
    repeats = 1 if arguments.quick else arguments.repeats
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        stores = arguments.keep or Path(folder)
        for size in sizes:
            rows.append(measured(stores / f"of-{size}", size, Path(folder) / "bytecode", repeats))
            print(rows[-1], flush=True)
    figures = {
        "reports": rows,
        "repeats": repeats,
        "device": device_name("cpu"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "command": shlex.join(["python", *sys.argv]),
    }
    if arguments.save:
        target = Path(__file__).parent / "results" / "report.json"
        target.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
