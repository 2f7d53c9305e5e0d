"""Whole searches of a real pair by several strategies, side by side: the same sizes, several search seeds each.

Every search is a run of its own, from its first candidate to its final round; a run that was stopped goes on. What
counts is the gain on test images of the leader that a search hands to its final round, over the student alone, on
the final round's seeds. Strategies are paired by search seed.

    python benchmarks/strategies.py CONFIG DIR [--strategies evolution belief] [--seeds 1 2 3] [--workers 2]
        [--cfg-options KEY=VALUE ...] [--save NAME]

``--save`` keeps the table under NAME in ``benchmarks/results/strategies.json``. The last line printed is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.gain import paired_gain
from detkds_gp.results import opened

RESULTS = Path(__file__).parent / "results" / "strategies.json"
COMMAND = Path(sys.executable).with_name("gp_search")


def searched(arguments: argparse.Namespace, strategy: str, seed: int) -> dict[str, Any]:
    """Run one search to its end, or read it, and return what it found."""
    folder = arguments.folder / f"{strategy}-{seed}"
    options = [f"search.strategy={strategy}", f"seed={seed}", f"cache_dir={arguments.folder.resolve() / 'cache'}"]
    command = [COMMAND, "run", arguments.config, "--work-dir", folder, "--workers", str(arguments.workers)]
    with open(arguments.folder / f"{strategy}-{seed}.log", "a") as log:
        subprocess.run([*command, "--cfg-options", *options, *arguments.cfg_options], check=True, stdout=log)
    with opened(folder) as summary:
        told = summary.to_json()
    final, leader = told["final"], told["final"]["finalists"][0]
    alone = final["alone"]["test_ap"]
    return {
        "trained": told["counts"]["trained"],
        "leader": fmean(leader["test_ap"]) - fmean(alone),
        "formula": leader["formula"],
        "training_time": leader["training_time"],
        "winner": told["best"]["gain"]["mean"],
        "alone": fmean(alone),
        "wall_seconds": told["wall_seconds"],
    }


def row(found: list[dict[str, Any]], first: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the searches of a strategy."""
    gains, others = ([one["leader"] for one in side] for side in (found, first))
    over = paired_gain(gains, others)
    means = {key: round(fmean(one[key] for one in found), 4) for key in ("leader", "winner", "trained")}
    return means | {"over_the_first": {key: round(value, 4) for key, value in vars(over).items()}, "searches": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strategies", nargs="+", default=["evolution", "belief"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cfg-options", nargs="*", default=[])
    parser.add_argument("--save")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.strategies}
    for seed in arguments.seeds:
        for name, rows in found.items():
            rows.append(searched(arguments, name, seed))
            print(f"seed {seed}, {name}: {json.dumps(rows[-1])}", file=sys.stderr, flush=True)
    outcome = {
        "strategies": {name: row(rows, found[arguments.strategies[0]]) for name, rows in found.items()},
        "seeds": arguments.seeds,
        "versions": {name: version(name) for name in ("torch", "mmdet", "scikit-learn")},
        "command": "python " + shlex.join(["benchmarks/strategies.py", Path(arguments.config).name, *sys.argv[2:]]),
    }
    if arguments.save:
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(known | {arguments.save: outcome}, indent=1) + "\n")
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
