"""Over how many batches the scale of a tree is steady.

The scale of one formula for each knowledge is measured on the same student over 1, 2, 4, ... batches of different
plans; their relative spread (standard deviation over mean) shows how much of a scale is luck.

    python benchmarks/scale_noise.py [--quick] [--config configs/quickstart.py] [--plans 8] [--most 16] [--save]

The last line printed is one JSON object: by number of batches, the spread of every formula and their median.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import torch

from detkds_gp.config import load_config
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.calibration import measure_scale, write_probe
from detkds_gp.listener import Listener
from detkds_gp.operators import active_operators
from detkds_gp.setup.prepare import gather, prepare

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "scale_noise.json"
FORMULAS = (
    "l2(global)",
    "l2(standardize_channel(global))",
    "kl(softmax_space(global, 1))",
    "l2_sum(foreground)",
    "l2(instance)",
    "binary_kl(units(class_logits, 1))",
    "weighted_giou(boxes, box_score)",
)


def spread(task: ProxyTask, formula: str, batches: int, plans: int) -> float:
    """Return standard deviation over mean of a scale over several plans."""
    settings = task.settings.model_copy(update={"calibration_batches": batches})
    proxy = ProxyTraining(replace(task, settings=settings))
    scales = [measure_scale(proxy, formula, seed).value for seed in range(plans)]
    known = [scale for scale in scales if scale is not None]
    return round(stdev(known) / fmean(known), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two plans, two batches: whether it works")
    parser.add_argument("--config", default=str(ROOT / "configs" / "quickstart.py"))
    parser.add_argument("--plans", type=int, default=8)
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--save", action="store_true", help="write results/scale_noise.json")
    parser.add_argument("--cfg-options", nargs="*", default=[])
    arguments = parser.parse_args()
    plans, most = (2, 2) if arguments.quick else (arguments.plans, arguments.most)
    torch.set_num_threads(1)
    options = dict(option.split("=", 1) for option in arguments.cfg_options)
    config = load_config(arguments.config, options)
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        task = prepare(config, gather(config), Path(folder), Listener())
        proxy = ProxyTraining(task)
        assert proxy.prepare_teacher().ok
        write_probe(proxy, seed=0)
        batches = 1
        while batches <= most:
            found[batches] = {formula: spread(task, formula, batches, plans) for formula in FORMULAS}
            print(batches, found[batches], flush=True)
            batches *= 2
    told: dict[str, Any] = {
        "median": {count: median(spreads.values()) for count, spreads in found.items()},
        "spreads": found,
        "plans": plans,
        "batch_size": config.proxy.batch_size,
        "versions": {name: version(name) for name in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": "python " + shlex.join(["benchmarks/scale_noise.py", *sys.argv[1:]]),
    }
    if arguments.save:
        RESULTS.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
