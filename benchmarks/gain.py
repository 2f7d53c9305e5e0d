"""What a whole search gains on the test split, and what it costs.

Runs a config from its first line to its verdict in a fresh work directory, or goes on with a given one.

    python benchmarks/gain.py configs/quickstart.py [--quick] [--work-dir D] [--cfg-options k=v ...] [--save]

``--save`` writes the result with device, versions and command to ``benchmarks/results``. The last line printed is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from detkds_gp.cli.options import parse_options
from detkds_gp.operators import active_operators
from detkds_gp.run import Experiment

QUICK: dict[str, Any] = {
    "proxy.iterations": 3,
    "proxy.calibration_iterations": 1,
    "teacher.train.iterations": 6,
    "require_better_teacher": False,
    "verdict.seeds": (1001, 1002),
    "search.divide": {"population": 2, "offspring": 1, "generations": 1},
    "search.conquer": {"population": 2, "offspring": 1, "generations": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", default="configs/quickstart.py")
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--work-dir", type=Path, help="kept; a finished run is only read")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    parser.add_argument("--cfg-options", nargs="*", default=[], metavar="k=v")
    arguments = parser.parse_args()
    options = parse_options(arguments.cfg_options) | (QUICK if arguments.quick else {})
    with tempfile.TemporaryDirectory() as folder:
        if arguments.work_dir is None:
            options["cache_dir"] = f"{folder}/cache"
        outcome = Experiment.from_config(arguments.config, arguments.work_dir or f"{folder}/run", **options).run()
    figures = {
        "config": arguments.config,
        **{key: outcome.summary[key] for key in ("teacher", "baseline", "best", "niches", "final", "counts")},
        "screening": outcome.summary["screening"],
        "minutes": round(outcome.summary["wall_seconds"]["at_work"] / 60, 2),
        "machine": f"{platform.machine()} {platform.processor()}, {options.get('execution.workers', 2)} workers",
        "versions": {name: version(name) for name in ("torch", "mmdet", "detkds_gp")}
        | {"operators": active_operators()},
        "command": shlex.join(["python", *sys.argv]),
    }
    if arguments.save:
        target = Path(__file__).parent / "results" / f"gain-{Path(arguments.config).stem}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
