"""How long the report of a store takes, and how large it is, for 10, 1,000 and 100,000 evaluations.

Stores are made by the real search and store, with trainings replaced by a rule (`made_run.py`); each report is made by
`gp_search report` in a process of its own, imports included.

    python benchmarks/report.py [--quick] [--keep FOLDER] [--save]

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from made_run import make_run

from detkds_gp.report import collect

BOUNDS = {10: 5.0, 1_000: 10.0, 100_000: 60.0}
"""Seconds that the report of so many evaluations may take."""

LARGE = {"primitive_set": "detkds_gp.primitives:OMNI"}
"""What a search needs to find 100,000 different formulas."""

LIMIT_MB = 6.0


def measured(work_dir: Path, evaluations: int) -> dict[str, Any]:
    """Make a store, unless it is there, and its report."""
    if not work_dir.exists():
        make_run(work_dir, evaluations, **(LARGE if evaluations > 10_000 else {}))
    page = work_dir / "report.html"
    command = [sys.executable, "-c", "from detkds_gp.cli.app import main; main()", "report", str(work_dir)]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, megabytes = time.perf_counter() - started, page.stat().st_size / 1e6
    return {
        "asked": evaluations,
        "evaluations": len(collect(work_dir).answered),
        "seconds": round(seconds, 2),
        "megabytes": round(megabytes, 2),
        "holds": seconds < BOUNDS[evaluations] and megabytes < LIMIT_MB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the two small stores only")
    parser.add_argument("--keep", type=Path, help="where stores are kept, and taken from if they are there")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    arguments = parser.parse_args()
    sizes = [size for size in BOUNDS if not arguments.quick or size <= 1_000]
    with nullcontext(arguments.keep) if arguments.keep else tempfile.TemporaryDirectory() as folder:
        rows = [measured(Path(folder) / f"of-{size}", size) for size in sizes]
    figures = {"machine": f"{platform.machine()} {platform.processor()}", "reports": rows}
    if arguments.save:
        target = Path(__file__).parent / "results" / "report.json"
        target.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
