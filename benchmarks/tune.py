"""How near `gp_search tune` comes to the best weight of a sweep, in few trainings on a seed of its own.

    python benchmarks/weight_sweep.py --data DIR --pairs retinanet gfl --losses pkd cwd ... --seeds 3 --save
    python benchmarks/tune.py --data DIR [--pairs retinanet gfl] [--trainings 12] [--workers 2] [--seed 10]
        [--work-dir work_dirs/tune] [--save]

Every loss of ``benchmarks/results/weight_sweep.json`` is tuned on the same pair at the same length. Told of each: the
tuned weight over the sweep's best, and what the difference costs: the mean AP over the sweep's seeds at the best weight
of its grid, less that at the tuned weight, which lies on a line between its neighbours on the grid. Where the curve is
flat, weights far apart are equally good: ``alike`` are the ends of those that the best is not above by its paired
95% interval. What is trained in the work directory is not trained again. The last line
printed is one JSON object; ``--save`` writes it to ``benchmarks/results/tune.json``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from math import log10
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from weight_sweep import OTHERS, Aloud, pair_config
from weight_sweep import RESULTS as SWEEP

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig
from detkds_gp.gain import paired_gain
from detkds_gp.naming import read_distiller
from detkds_gp.tuning import tune

RESULTS = Path(__file__).parent / "results" / "tune.json"


def tuned(name: str, swept: dict[str, Any], config: ExperimentConfig, folder: Path) -> dict[str, Any]:
    """Tune a loss, and compare its weight with the sweep's."""
    found = tune(config, read_distiller(OTHERS.get(name, name), config, bare=None), folder, Aloud()).to_json()
    (coefficient,) = found["coefficients"].values()
    weight = coefficient / swept["scale"]["parameters"]
    aps = {float(weight): seeds for weight, seeds in swept["aps"].items()}
    means = {weight: fmean(seeds) for weight, seeds in aps.items()}
    best = max(means, key=lambda weight: means[weight])
    at = float(np.interp(log10(weight), [log10(w) for w in means], list(means.values())))
    alike = [weight for weight in means if weight == best or paired_gain(aps[best], aps[weight]).low <= 0]
    return {
        "weight": float(f"{weight:.3g}"),
        "best": best,
        "factor": float(f"{max(weight / best, best / weight):.3g}"),
        "alike": [min(alike), max(alike)],
        "cost": round(means[best] - at, 4),
        "trainings": found["trainings"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of BCCD in COCO format")
    parser.add_argument("--pairs", nargs="+")
    parser.add_argument("--trainings", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/tune"))
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    arguments.quick, arguments.options, arguments.seeds = False, [], 1
    sweep = json.loads(SWEEP.read_text())["pairs"]
    told: dict[str, Any] = {"command": "python " + shlex.join(["benchmarks/tune.py", *sys.argv[1:]]), "pairs": {}}
    for name in arguments.pairs or sweep:
        arguments.iterations = sweep[name]["iterations"]
        seeds = tuple(range(arguments.seed, arguments.seed + 3))
        config = pair_config(name, arguments).model_copy(
            update={"budget": str(arguments.trainings), "baseline_seeds": seeds}
        )
        told["pairs"][name] = {
            loss: tuned(loss, swept, config, arguments.work_dir / name / loss)
            for loss, swept in sweep[name]["losses"].items()
            if swept.get("best")
        }
        if arguments.save:
            with atomic_file(RESULTS) as draft:
                draft.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
