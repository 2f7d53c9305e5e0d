"""What losses that were found on one pair are worth on others that nobody searched.

    python benchmarks/transfer.py DIR [--cells NAME ...] [--seeds 4] [--iterations N] [--workers 2] [--quick] [--save]

DIR is that of `proof.py`, the cells are its cells. Each found loss is trained there as it was found, with its weights
and scales, and with its weights in units of scales that are measured there; beside it PKD and MGD at their papers'
weights and at those that were tuned on blood cells, in measured units, and the student alone. All are trained alike, by
default for 300 steps, averaged weights, on seeds that nothing was chosen on, and scored on the test split. Gains are
paired, with 95% intervals. A loss that reads what a pair does not share is named with the reason. A stopped measurement
goes on.

``--save`` writes each cell to ``benchmarks/results/transfer.json`` when it is done. The last line printed is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from fresh_seeds import difference
from proof_cells import ALONG, CPU, Cell
from proof_rivals import Trainings, trainings_in

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig
from detkds_gp.language import NONE, Distiller, load_zoo
from detkds_gp.naming.applies import missing_knowledge
from detkds_gp.operators import active_operators

RESULTS = Path(__file__).parent / "results" / "transfer.json"
FIRST_SEED = 8001
ALONE = "student alone"
PUBLISHED = ("pkd", "mgd")
FOUND = {
    "first hour": (
        "2 * 0.492 * ssim(exp(shared_mask(global, 0.35)))"
        " + 2 * 69.9 * kl(softmax_space(max_pool_2(shared_mask(foreground, 0.1)), 4))"
        " + 5 * 0.908 * cosine(standardize_row(patches_4(instance)))"
        " + 10 * 80.8 * cosine(patches_4(channel_attention(class_map, 1)))"
        " + 2 * 9.2 * weighted_giou(boxes, box_score)"
    ),
    "hour of narrow students": (
        "74 * 0.925 * l2(standardize_channel(global)) + 130 * 1.69 * pearson(foreground)"
        " + 28 * 3.43 * pearson(standardize_row(patches_4(instance))) + 0.13 * 12.3 * pearson(patches_4(class_map))"
        " + 0.35 * 25.1 * weighted_giou(boxes, valuable_boxes)"
    ),
    "its leader": (
        "290 * 1.69 * pearson(foreground) + 14 * 3.43 * pearson(standardize_row(patches_4(instance)))"
        " + 0.21 * 12.3 * pearson(patches_4(class_map)) + 0.17 * 25.1 * weighted_giou(boxes, valuable_boxes)"
    ),
}
"""Winners of ``docs/results.md``, of RetinaNets on blood cells."""
TUNED = {
    "PKD at 220": "220 * calibrated * l2(standardize_channel(global))",
    "MGD at 82": "82 * calibrated * l2_sum(masked_generation(global, 0.35))",
}
"""Published losses at the weights that were tuned on the pair of the winners."""
RECOMMENDED = "hour of narrow students, measured"
"""What the zoo recommends."""
MAPS = ("first hour",)
"""Whose scales were measured on the neck's maps, in other units than today's: its weights say nothing without them."""


def losses(trainings: Trainings) -> dict[str, Distiller]:
    """Return by role what is trained."""
    zoo = load_zoo(trainings.context.config.zoo)
    texts = {ALONE: NONE, **{name: zoo[name].formula for name in PUBLISHED}, **TUNED, **FOUND}
    texts |= {
        f"{name}, measured": re.sub(r"(?<= \* )[\d.e-]+(?= \* )", "calibrated", text)
        for name, text in FOUND.items()
        if name not in MAPS
    }
    return {role: trainings.read(text) for role, text in texts.items()}


def why_not(distiller: Distiller, trainings: Trainings) -> str:
    """Say what a loss reads that the pair does not share; empty if it shares all."""
    return missing_knowledge(distiller, trainings.grammar, trainings.context.task.pair)


def figures(cell: Cell, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train everyone of a cell and return what they gain."""
    config = cell.config(arguments.folder.resolve())
    values: dict[str, Any] = {"execution": {**vars(config.execution), "workers": arguments.workers}}
    if arguments.quick:
        values["proxy"] = {**config.proxy.model_dump(), "iterations": 4, "calibration_iterations": 2}
        values["teacher"] = {**config.teacher.model_dump(), "train": {"iterations": 6, "warmup": 1}}
    config = ExperimentConfig.model_validate({**config.model_dump(), **values})
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    with trainings_in(config, arguments.folder / "transfer" / cell.name) as trainings:
        everyone = losses(trainings)
        reasons = {role: why for role, one in everyone.items() if (why := why_not(one, trainings))}
        asked = {role: one for role, one in everyone.items() if role not in reasons}
        scores = trainings.scores("transfer", list(asked.values()), arguments.iterations, seeds, test=True)
    aps = {role: [score.test_ap for score in row] for role, row in zip(asked, scores, strict=True)}
    means = {role: fmean(known) for role, row in aps.items() if (known := [ap for ap in row if ap is not None])}
    return {
        "data": cell.data,
        "pair": cell.pair,
        "iterations": arguments.iterations,
        "seeds": list(seeds),
        "not_there": reasons,
        "trained": {
            role: {
                "test_ap": row,
                "mean": means.get(role),
                "over_alone": difference(row, aps[ALONE]),
                "recommended_over_it": difference(aps[RECOMMENDED], row) if RECOMMENDED in aps else None,
            }
            for role, row in aps.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", nargs="+", help="by name, such as blood_cells-GFL; all by default")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=ALONG)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.iterations = 4
    cells = {cell.name: cell for cell in CPU}
    if unknown := set(arguments.cells or ()) - set(cells):
        parser.error(f"no cell {', '.join(sorted(unknown))}; wanted some of {', '.join(cells)}")
    found: dict[str, Any] = json.loads(RESULTS.read_text())["cells"] if arguments.save and RESULTS.exists() else {}
    outcome: dict[str, Any] = {}
    for name in arguments.cells or cells:
        found[name] = figures(cells[name], arguments)
        outcome = {
            "cells": found,
            "formulas": TUNED | FOUND,
            "versions": {package: version(package) for package in ("torch", "mmdet")}
            | {"operators": active_operators()},
            "command": "python " + shlex.join(["benchmarks/transfer.py", "DIR", *sys.argv[2:]]),
        }
        if arguments.save:
            with atomic_file(RESULTS) as draft:
                draft.write_text(json.dumps(outcome, indent=1) + "\n")
        for role, row in found[name]["trained"].items():
            print(f"{name}: {role}: {row['mean']}, over the student alone {row['over_alone']}", flush=True)
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
